"""What tests and docstring examples share: a cache of their own, so that nobody's home is touched."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded datasets go to a folder of this session's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENSEMBUDGET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
