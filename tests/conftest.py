"""What every test shares: one thread, a cache of its own, the digits and a cell that trains in no time."""

import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

import helpers
from ensembudget.catalog import plugins
from ensembudget.datasets._data import Data
from ensembudget.datasets._load import load
from ensembudget.records import Cell, Recipe

torch.set_num_threads(1)

# There are no doctests in them, and pytest cannot collect two modules of one name outside packages.
collect_ignore_glob = ["*conftest.py"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--times", type=int, default=1, help="attack N times as often as usual (tests/faults)")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The bytes that a test compares are of as many threads as it says, whichever tests were before it."""
    yield
    assert torch.get_num_threads() == 1


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where commands are run: empty, and without a store of the environment's."""
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    for name in ("ENSEMBUDGET_STORE", "ENSEMBUDGET_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)
    return cwd


@pytest.fixture
def command(folder: Path) -> Callable[..., helpers.Said]:
    """`command("plan", ...)` is one command in an empty folder: its exit code and what it printed."""
    return helpers.command


@pytest.fixture(scope="session")
def digits(cache: None) -> Data:
    return load("digits")


@pytest.fixture(scope="session")
def make_cell(digits: Data) -> Callable[..., Cell]:
    """`make_cell(width=8, epochs=5)` is the tiny cell with these fields of it, or of its recipe, changed."""

    def make(**changes) -> Cell:
        recipe = {
            "epochs": 2,
            "batch_size": 32,
            "learning_rate": 0.1,
            "weight_decay": 3e-4,
            "crop_padding": 1,
        }
        cell = {
            "family": "wide_resnet",
            "options": {"depth": 10},
            "width": 4,
            "dataset": "digits",
            "dataset_digest": digits.digest,
            "train_size": 100,
            "validation_size": 50,
            "mode": "bn_wd",
        }
        for name, value in changes.items():
            (recipe if name in Recipe.model_fields else cell)[name] = value
        return Cell(**cell, recipe=Recipe(**recipe))

    return make


@pytest.fixture
def tiny_cell(make_cell: Callable[..., Cell]) -> Cell:
    return make_cell()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """`install("pkg", families={"tiny": source})` installs a package whose parts are found by entry points.

    Worker processes find it as well. A part whose source is None has an entry point and no module.
    """
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=":")
    installed: list[str] = []

    def install(package: str, **parts: dict[str, str | None]) -> None:
        (site / package).mkdir()
        (site / package / "__init__.py").touch()
        info = site / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = []
        for kind, sources in parts.items():
            lines.append(f"[ensembudget.{kind}]")
            for name, source in sources.items():
                lines.append(f"{name} = {package}.{kind}_{name}")
                if source is not None:
                    (site / package / f"{kind}_{name}.py").write_text(textwrap.dedent(source))
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        installed.append(package)
        importlib.invalidate_caches()
        plugins.cache_clear()

    yield install
    for name in [name for name in sys.modules if name.partition(".")[0] in installed]:
        del sys.modules[name]
    monkeypatch.undo()
    plugins.cache_clear()


@pytest.fixture
def plug_in(install: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`plug_in("ways", "loud", way=...)` installs a package whose one part is made of this test's objects."""

    def add(kind: str, name: str, **symbols) -> None:
        package = f"plug_in_{kind}_{name}"
        install(package, **{kind: {name: None}})
        module = ModuleType(f"{package}.{kind}_{name}")
        vars(module).update(symbols)
        monkeypatch.setitem(sys.modules, module.__name__, module)

    return add
