"""Finds parts by file name: `families/vgg.py` is "vgg", and no second file is edited to add one."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from .errors import PlanError, did_you_mean

if TYPE_CHECKING:
    from .budgets._base import Budget
    from .datasets._base import Dataset
    from .executors._base import Executor
    from .families._base import Family
    from .laws._base import Law
    from .modes._base import Mode

Part = TypeVar("Part")


class Catalog(Generic[Part]):
    """Every part of one kind: `FAMILIES["vgg"]` is `family` in `families/vgg.py`.

    >>> "vgg" in FAMILIES
    True
    >>> FAMILIES["vg"]
    Traceback (most recent call last):
    ensembudget.errors.PlanError: no family 'vg'. Did you mean 'vgg'? Known: ...
    """

    def __init__(self, folder: str, part: str) -> None:
        self._package, self._part = f"{__package__}.{folder}", part

    def __iter__(self) -> Iterator[str]:
        path = importlib.import_module(self._package).__path__
        return iter(sorted(m.name for m in pkgutil.iter_modules(path) if m.name[0] != "_"))

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def __getitem__(self, name: str) -> Part:
        if name not in self:
            raise PlanError(f"no {self._part} {name!r}.{did_you_mean(name, self)} Known: {', '.join(self)}.")
        module = importlib.import_module(f"{self._package}.{name}")
        return cast("Part", getattr(module, self._part))

    def summary(self, name: str) -> str:
        """The first line of the part's file, which says what it is."""
        module = importlib.import_module(f"{self._package}.{name}")
        return (module.__doc__ or "").strip().splitlines()[0]


FAMILIES: Catalog["Family"] = Catalog("families", "family")
DATASETS: Catalog["Dataset"] = Catalog("datasets", "dataset")
BUDGETS: Catalog["Budget"] = Catalog("budgets", "budget")
MODES: Catalog["Mode"] = Catalog("modes", "mode")
LAWS: Catalog["Law"] = Catalog("laws", "law")
EXECUTORS: Catalog["Executor"] = Catalog("executors", "executor")
