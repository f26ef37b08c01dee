"""Finds parts by name: `families/vgg.py` is the family "vgg", and no second file is edited to add one.

Other packages add parts through Python entry points: the group is `ensembudget.` and the kind, the name is
the part's, and the value is its module.

    [project.entry-points."ensembudget.families"]
    tiny = "my_package.tiny"
"""

import ast
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from .errors import UnknownPartError, did_you_mean

if TYPE_CHECKING:
    from .budgets._base import Budget
    from .datasets._base import Dataset
    from .executors._base import Executor
    from .families._base import Family
    from .laws._base import Law
    from .modes._base import Mode

Part = TypeVar("Part")


@cache
def plugins(group: str) -> dict[str, str]:
    """Modules of other packages' parts by name, from their entry points; `cache_clear` looks again."""
    return {one.name: one.value.partition(":")[0].strip() for one in entry_points(group=group)}


class Catalog(Generic[Part]):
    """Every part of one kind: `FAMILIES["vgg"]` is `family` in `families/vgg.py`.

    Args:
        folder: Of this package, with slashes; its last word names the entry points' group.
        symbol: What a part's module calls it.

    Example:
        >>> "vgg" in FAMILIES
        True
        >>> FAMILIES["vg"]
        Traceback (most recent call last):
        ensembudget.errors.UnknownPartError: no family 'vg'. Did you mean 'vgg'? Known: ...
    """

    def __init__(self, folder: str, symbol: str) -> None:
        self._folder, self.symbol = folder, symbol
        self.kind = folder.rpartition("/")[2]

    @property
    def _modules(self) -> dict[str, str]:
        """Every part's module by name; ours win over those of other packages."""
        package = f"{__package__}.{self._folder.replace('/', '.')}"
        here = pkgutil.iter_modules([str(Path(__file__).parent / self._folder)])
        ours = {one.name: f"{package}.{one.name}" for one in here if one.name[0] != "_"}
        return plugins(f"{__package__}.{self.kind}") | ours

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._modules))

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __getitem__(self, name: str) -> Part:
        module = importlib.import_module(self._module(name))
        try:
            return cast("Part", getattr(module, self.symbol))
        except AttributeError:
            raise UnknownPartError(
                f"{self.symbol} {name!r} cannot be used: its module {module.__name__!r} has no"
                f" {self.symbol!r}. Define it there."
            ) from None

    def _module(self, name: str) -> str:
        known = self._modules
        if name not in known:
            near = did_you_mean(name, known)
            raise UnknownPartError(f"no {self.symbol} {name!r}.{near} Known: {', '.join(sorted(known))}.")
        return known[name]

    def summary(self, name: str) -> str:
        """The first line of the part's file, read without importing it."""
        spec = importlib.util.find_spec(self._module(name))
        source = Path(spec.origin).read_text() if spec and spec.origin else ""
        return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


FAMILIES: Catalog["Family"] = Catalog("families", "family")
DATASETS: Catalog["Dataset"] = Catalog("datasets", "dataset")
BUDGETS: Catalog["Budget"] = Catalog("budgets", "budget")
MODES: Catalog["Mode"] = Catalog("modes", "mode")
LAWS: Catalog["Law"] = Catalog("laws", "law")
EXECUTORS: Catalog["Executor"] = Catalog("executors", "executor")

# What `ls` can list, by kind.
CATALOGS: dict[str, Catalog[Any]] = {
    one.kind: one for one in (FAMILIES, DATASETS, MODES, BUDGETS, LAWS, EXECUTORS)
}
