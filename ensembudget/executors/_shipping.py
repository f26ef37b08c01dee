"""The code that a cluster's nodes run: this package and plug-ins, as they are here."""

import importlib.util
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import Distribution, distributions
from pathlib import Path

NAME = __name__.partition(".")[0]


@contextmanager
def code_to_ship() -> Iterator[Path]:
    """A folder to be put on a node's path: this package, the plug-ins of this machine, their entry points.

    What those need besides, such as torch, must be installed on the nodes.
    """
    with tempfile.TemporaryDirectory(prefix="ensembudget-") as folder:
        where = Path(folder) / "code"
        where.mkdir()
        modules = {NAME}
        for one in distributions():
            parts = [point for point in one.entry_points if point.group.startswith(f"{NAME}.")]
            if parts:
                modules |= {point.value.partition(":")[0].strip().partition(".")[0] for point in parts}
                _copy_entry_points(one, where)
        for module in sorted(modules):
            _copy_module(module, where)
        yield where


def _copy_entry_points(one: Distribution, where: Path) -> None:
    folder = where / f"{one.name.replace('-', '_')}-{one.version}.dist-info"
    folder.mkdir(exist_ok=True)
    for file in ("METADATA", "entry_points.txt"):
        if (text := one.read_text(file)) is not None:
            (folder / file).write_text(text)


def _copy_module(module: str, where: Path) -> None:
    """A package or a module of one file; one that is not there has a plug-in's own fault to tell."""
    spec = importlib.util.find_spec(module)
    if spec is None:
        return
    if spec.submodule_search_locations:
        for folder in spec.submodule_search_locations:
            ignore = shutil.ignore_patterns("__pycache__", "*.pyc", ".git")
            shutil.copytree(folder, where / module, ignore=ignore, dirs_exist_ok=True)
    elif spec.origin:
        shutil.copy(spec.origin, where)
