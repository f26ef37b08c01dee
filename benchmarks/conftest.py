"""Quality and cost side by side: trains a study, times its splits, joins both into one table.

    pytest benchmarks                      the digits study, minutes on two cores
    pytest benchmarks --study=NAME         any other; --store=DIR and --out=DIR say where
    pytest benchmarks/speed -s             only where it is named: half an hour
    pytest benchmarks/test_coverage.py -s  only where it is named
    pytest benchmarks/test_export.py       only where it is named: minutes
    pytest benchmarks/test_scale.py -s     only where it is named: minutes

Writes costs.csv and, with it, a whole report. Absolute times are this machine's; what travels is
the ratio between the splits of one budget, measured in one run.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ensembudget import (
    Plan,
    Split,
    SplitCost,
    Store,
    analyse,
    evaluate,
    load_study,
    plan_study,
    report,
)
from ensembudget.analysis.splits import SplitKey
from ensembudget.rendering.write import open_folder, write_table
from ensembudget.tables import memory_split
from ensembudget.tables._base import Column, Table


def _of_cost(name: str) -> Callable[[tuple[SplitKey, SplitCost]], float | None]:
    return lambda item: getattr(item[1], name)


TABLE = Table(
    "costs",
    "Costs",
    (
        Column("arm", get=lambda item: item[0][0] or None, optional=True),
        Column("budget", get=lambda item: item[0][1]),
        Column("members", get=lambda item: item[0][2]),
        *(Column(name, get=_of_cost(name)) for name in SplitCost.model_fields),
    ),
    csv_only=True,
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ensembudget")
    group.addoption("--study", default="digits", help="a preset or a TOML file (default: digits)")
    group.addoption("--store", default="store", help="where its members are (default: store)")
    group.addoption("--out", default=None, help="where the report goes (default: report/NAME-with-costs)")
    group.addoption("--plane", action="append", default=[], help="another plane in CSV to be predicted")
    group.addoption(
        "--replay", action="append", default=[], help="STUDY=STORE, another study to search in again"
    )
    group.addoption("--device", default="cpu", help="as torch names it (default: cpu)")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What is no part of a study's costs is measured where it is asked for by name."""
    named = {Path(part).stem for argument in config.args for part in Path(str(argument).split("::")[0]).parts}
    return (
        True
        if collection_path.stem in {"speed", "test_coverage", "test_export", "test_scale"} - named
        else None
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "split" in metafunc.fixturenames:
        plan = _plan(metafunc.config)
        ids = [
            f"{s.setting.label}{'-' if s.setting.label else ''}{s.budget}-n{s.members}-k{s.width}"
            for s in plan.splits
        ]
        metafunc.parametrize("split", plan.splits, ids=ids)


def _plan(config: pytest.Config) -> Plan:
    if not hasattr(config, "study_plan"):
        config.study_plan = plan_study(load_study(config.getoption("--study")))  # type: ignore[attr-defined]
    return config.study_plan  # type: ignore[attr-defined,no-any-return]


@pytest.fixture(scope="session", autouse=True)
def cache() -> None:
    """The user's own: decoding a large dataset is no part of any figure."""


@pytest.fixture(scope="session")
def plan(request: pytest.FixtureRequest) -> Plan:
    return _plan(request.config)


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> str:
    return str(request.config.getoption("--device"))


@pytest.fixture(scope="session")
def store(request: pytest.FixtureRequest) -> Store:
    return Store(request.config.getoption("--store"))


@pytest.fixture(scope="module")
def out(request: pytest.FixtureRequest) -> Path:
    """Where a benchmark's tables go: --out, or the folder that its module names `OUT`."""
    return open_folder(request.config.getoption("--out") or request.module.OUT)


@pytest.fixture(scope="session")
def costs(request: pytest.FixtureRequest, store: Store, plan: Plan) -> Iterator["Costs"]:
    """Filled by every timing; at the end joined to the quality columns and written."""
    found = Costs()
    yield found
    out = Path(request.config.getoption("--out") or f"report/{plan.study.name}-with-costs")
    analysis = analyse(evaluate(plan, store), found.by_split)
    report(analysis, out)
    write_table(out, TABLE, list(found.by_split.items()))
    print("\n" + "\n".join(memory_split.notes(analysis)) + f"\nTables with costs are in {out}.")


class Costs:
    """What each split takes, by (arm, budget, members)."""

    def __init__(self) -> None:
        self.by_split: dict[SplitKey, SplitCost] = {}

    def add(self, split: Split, **values: float) -> None:
        key = split.setting.label, split.budget, split.members
        known = self.by_split.get(key, SplitCost()).model_dump(exclude_none=True)
        self.by_split[key] = SplitCost(**known | values)
