"""Finds parts by name: `families/vgg.py` is the family "vgg", and no second file is edited to add one.

Other packages add parts through Python entry points. The group is `ensembudget.` and the kind, the name is
the part's, and the value is the module that holds it:

    [project.entry-points."ensembudget.families"]
    tiny = "my_package.tiny"
"""

import ast
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

from .errors import UnknownPartError, did_you_mean, told

if TYPE_CHECKING:
    from .budgets._base import Budget
    from .datasets._base import Dataset
    from .dtypes._base import Dtype
    from .executors._base import Executor
    from .exporting.formats._base import Format
    from .exporting.inputs._base import Inputs
    from .families._base import Family
    from .figures._base import Drawing
    from .landscape.probes._base import Probe
    from .laws._base import Law
    from .methods._base import Method
    from .metrics._base import Metric
    from .modes._base import Mode
    from .stepping.ways._base import Way
    from .tables._base import Table
    from .tasks._base import Kind

Part = TypeVar("Part")


class Source(NamedTuple):
    """Where a part lies: its module, and the package that brings it; none where it is ours."""

    module: str
    package: str = ""

    def __str__(self) -> str:
        return f"{self.module!r}" + (f" of package {self.package!r}" if self.package else "")


@cache
def plugins(group: str) -> dict[str, list[Source]]:
    """Where other packages' parts lie, by name; `plugins.cache_clear()` looks again."""
    found: dict[str, set[Source]] = {}
    for one in entry_points(group=group):
        package = one.dist.name if one.dist else ""
        found.setdefault(one.name, set()).add(Source(one.value.partition(":")[0].strip(), package))
    return {name: sorted(sources) for name, sources in found.items()}


class Catalog(Generic[Part]):
    """Every part of one kind: `FAMILIES["vgg"]` is `family` in `families/vgg.py`.

    Args:
        folder: Of this package, with slashes; its last word names the entry points' group.
        symbol: What a part's module calls it.
        makers: Modules that make parts on request, by prefix: with {"timm": "families/_timm"}, the part
            "timm:resnet18" is `part("resnet18")` of that module. Iterating does not list such parts.

    Example:
        >>> "vgg" in FAMILIES
        True
        >>> FAMILIES["vg"]
        Traceback (most recent call last):
        ensembudget.errors.UnknownPartError: no family 'vg'. Did you mean 'vgg'? Known: ...
    """

    def __init__(self, folder: str, symbol: str, makers: Mapping[str, str] | None = None) -> None:
        self._folder, self.symbol, self._makers = folder, symbol, makers or {}
        self.kind = folder.rpartition("/")[2]

    def _sources(self) -> dict[str, list[Source]]:
        """Where every part lies, by name: our own first."""
        package = f"{__package__}.{self._folder.replace('/', '.')}"
        here = pkgutil.iter_modules([str(Path(__file__).parent / self._folder)])
        ours = {one.name: [Source(f"{package}.{one.name}")] for one in here if one.name[0] != "_"}
        theirs = plugins(f"{__package__}.{self.kind}")
        return {name: ours.get(name, []) + theirs.get(name, []) for name in ours | theirs}

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._sources()))

    def __contains__(self, name: object) -> bool:
        return name in self._sources() or (isinstance(name, str) and ":" in name and not self.fault(name))

    def __getitem__(self, name: str) -> Part:
        source = self.source(name)
        if maker := self._maker(name):
            return cast("Part", importlib.import_module(maker.module).part(name.partition(":")[2]))
        try:
            module = importlib.import_module(source.module)
        except Exception as error:
            if not source.package:
                raise
            # Another package's code may fail in any way.
            raise self._unusable(name, f"{source} cannot be imported ({_said(error)})") from error
        if not hasattr(module, self.symbol):
            raise self._unusable(name, f"{source} does not define {self.symbol!r}")
        return cast("Part", getattr(module, self.symbol))

    def source(self, name: str) -> Source:
        """Where a part lies.

        Raises:
            UnknownPartError: No part has this name, or two have.
        """
        if maker := self._maker(name):
            return maker
        known = self._sources()
        if name not in known:
            near = did_you_mean(name, known)
            raise UnknownPartError(f"no {self.symbol} {told(name)}.{near} Known: {', '.join(sorted(known))}.")
        first, *others = known[name]
        if others:
            several = ", ".join(map(str, others))
            raise self._unusable(
                name,
                f"{first} and {several} have the same name. Remove one of the packages, or rename its part",
            )
        return first

    def _maker(self, name: str) -> Source | None:
        """The module that makes a part on request; None for any other name."""
        before, colon, _ = name.partition(":")
        known = bool(colon) and before in self._makers
        return Source(f"{__package__}.{self._makers[before].replace('/', '.')}") if known else None

    @property
    def made(self) -> dict[str, str]:
        """How parts made on request are written, "timm:NAME", and the summary of their maker."""
        return {f"{before}:NAME": self.summary(f"{before}:NAME") for before in sorted(self._makers)}

    def _unusable(self, name: str, reason: str) -> UnknownPartError:
        return UnknownPartError(f"{self.symbol} {name!r} cannot be used: {reason}.")

    def usable(self) -> dict[str, Part]:
        """Every part that can be used, by name: a broken plug-in stands in nobody's way."""
        return {name: self[name] for name in self if not self.fault(name)}

    def fault(self, name: str) -> str | None:
        """Why a part cannot be used, as a sentence, or None; a plug-in is imported to find out."""
        try:
            if self.source(name).package or self._maker(name):
                self[name]
        except UnknownPartError as error:
            return str(error)
        return None

    def summary(self, name: str) -> str:
        """The first line of the part's file, read without running it, or why the part cannot be used."""
        if not self._maker(name) and (fault := self.fault(name)):
            return fault
        spec = importlib.util.find_spec(self.source(name).module)
        text = Path(spec.origin).read_text() if spec and spec.origin else ""
        return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0]


TASKS: Catalog["Kind"] = Catalog("tasks", "task")
FAMILIES: Catalog["Family"] = Catalog("families", "family", {"timm": "families/_timm"})
DATASETS: Catalog["Dataset"] = Catalog("datasets", "dataset")
BUDGETS: Catalog["Budget"] = Catalog("budgets", "budget")
MODES: Catalog["Mode"] = Catalog("modes", "mode")
DTYPES: Catalog["Dtype"] = Catalog("dtypes", "dtype")
METHODS: Catalog["Method"] = Catalog("methods", "method")
LAWS: Catalog["Law"] = Catalog("laws", "law")
METRICS: Catalog["Metric"] = Catalog("metrics", "metric")
EXECUTORS: Catalog["Executor"] = Catalog("executors", "executor")
WAYS: Catalog["Way"] = Catalog("stepping/ways", "way")
TABLES: Catalog["Table"] = Catalog("tables", "table")
FIGURES: Catalog["Drawing"] = Catalog("figures", "figure")
FORMATS: Catalog["Format"] = Catalog("exporting/formats", "format")
INPUTS: Catalog[type["Inputs"]] = Catalog("exporting/inputs", "inputs")
PROBES: Catalog["Probe"] = Catalog("landscape/probes", "probe")

# What `ls` can list, by kind.
CATALOGS: dict[str, Catalog[Any]] = {
    one.kind: one
    for one in (
        TASKS,
        FAMILIES,
        DATASETS,
        MODES,
        BUDGETS,
        DTYPES,
        METHODS,
        LAWS,
        METRICS,
        EXECUTORS,
        WAYS,
        TABLES,
        FIGURES,
        FORMATS,
        INPUTS,
        PROBES,
    )
}
