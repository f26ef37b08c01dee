"""How many cases an attack has, and what it leaves in a JUnit file for the table of docs/reliability.md."""

from collections.abc import Callable

import pytest


@pytest.fixture
def times(request: pytest.FixtureRequest) -> int:
    """How many times as many cases as usual an attack has, by `--times`."""
    return int(request.config.getoption("--times"))


@pytest.fixture
def attacked(request: pytest.FixtureRequest) -> Callable[..., None]:
    """`attacked("P1 P3", "killed at every operation of the store", 357)`: called last, by a test that passes.

    The words are: the promises of docs/reliability.md, the attack, and the cases that were really tried.
    """

    def leave(promises: str, attack: str, cases: int) -> None:
        assert cases > 0
        request.node.user_properties += [("promises", promises), ("attack", attack), ("cases", cases)]

    return leave
