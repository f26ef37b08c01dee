"""The house has one plan, and every import keeps to it: all of this is read from the source with `ast`."""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import ensembudget

ROOT = Path(ensembudget.__file__).parent
LINES = 300
# Kinds whose parts no table or figure may name. Budget kinds are also columns, so they are not among them.
PARTS = ("families", "datasets", "modes", "laws", "dtypes", "methods")


class Import(NamedTuple):
    """`from module import name`, or `import module`, where `name` is None."""

    module: str
    name: str | None


def _dotted(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {_dotted(path): path for path in sorted(ROOT.rglob("*.py"))}
TREES = {module: ast.parse(path.read_text()) for module, path in SOURCES.items()}


def _statements(tree: ast.AST, *, for_types: bool) -> Iterator[ast.AST]:
    """All nodes of a module; those under `if TYPE_CHECKING` only when they are asked for."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not for_types:
            continue
        yield node
        yield from _statements(node, for_types=for_types)


def imports_of(module: str, *, for_types: bool = False) -> Iterator[Import]:
    """What a module imports of ensembudget, at its top or inside its functions."""
    package = module if SOURCES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in _statements(TREES[module], for_types=for_types):
        if isinstance(node, ast.Import):
            yield from (Import(one.name, None) for one in node.names if one.name.split(".")[0] == ROOT.name)
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(filter(None, (above, node.module)))
            if base.split(".")[0] != ROOT.name:
                continue
            for one in node.names:
                whole = f"{base}.{one.name}"
                yield Import(whole, None) if whole in SOURCES else Import(base, one.name)


def room(module: str) -> str:
    """`store` of `ensembudget.store`, `cli` of `ensembudget.cli.main`."""
    return module.split(".")[1] if "." in module else module


def layers() -> list[str]:
    """The rooms as docs/architecture.md lists them, lowest first."""
    page = (ROOT.parent / "docs/architecture.md").read_text()
    block = re.search(r"```layers\n(.*?)```", page, re.DOTALL)
    assert block, "docs/architecture.md has no list of layers"
    rows = [line.split("  ")[0].split() for line in block[1].splitlines()]
    return [name for row in rows for name in row][::-1]


def upward_imports() -> Iterator[str]:
    order = layers()
    for module in SOURCES:
        mine = room(module)
        if mine not in order:
            continue
        for one in imports_of(module):
            other = room(one.module)
            if other != mine and other in order and order.index(other) > order.index(mine):
                yield f"{module} imports {one.module}"


def rooms_without_a_place() -> Iterator[str]:
    """Rooms that the page does not list, and listed ones that do not exist."""
    there = {room(module) for module in SOURCES if "." in module} - {"__main__"}
    yield from (f"{name}: not in docs/architecture.md" for name in sorted(there - set(layers())))
    yield from (f"{name}: not in ensembudget/" for name in sorted(set(layers()) - there))


def import_cycles() -> Iterator[str]:
    """The first cycle, if there is one. The package itself imports nothing: its names are lazy."""
    try:
        TopologicalSorter(
            {module: {one.module for one in imports_of(module)} for module in SOURCES}
        ).prepare()
    except CycleError as error:
        yield " -> ".join(error.args[1])


def private_imports() -> Iterator[str]:
    """Names with an underscore of another module, and modules with one of another folder.

    In a folder of parts the underscore says "not a part", so its helpers may be imported from elsewhere.
    """
    folders = {
        *PARTS,
        "budgets",
        "metrics",
        "executors",
        "tables",
        "figures",
        "stepping",
        "exporting",
        "landscape",
        "tasks",
    }
    for module in SOURCES:
        for one in imports_of(module, for_types=True):
            if one.name and one.name.startswith("_") and not one.name.startswith("__"):
                yield f"{module} imports {one.name} from {one.module}"
            file = one.module.rpartition(".")[2]
            if file.startswith("_") and room(one.module) not in {room(module), *folders}:
                yield f"{module} imports {one.module}"


def shadowed_verbs() -> Iterator[str]:
    there = {room(module) for module in SOURCES if "." in module}
    yield from (f"{name} is a public name and a module" for name in ensembudget.__all__ if name in there)


def classes_of_one_name() -> Iterator[str]:
    places: dict[str, list[str]] = {}
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(module)
    yield from (f"class {name}: {', '.join(there)}" for name, there in places.items() if len(there) > 1)


def long_modules() -> Iterator[str]:
    for module, path in SOURCES.items():
        if len(path.read_text().splitlines()) > LINES:
            yield f"{module} has more than {LINES} lines"


def second_arrays() -> Iterator[str]:
    """`Array` is defined once, in arrays.py."""
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            names = [*node.targets] if isinstance(node, ast.Assign) else []
            names += [node.target] if isinstance(node, ast.AnnAssign) else []
            named = any(isinstance(one, ast.Name) and one.id == "Array" for one in names)
            if named and module != "ensembudget.arrays":
                yield f"{module} defines Array"


def parts_named() -> Iterator[str]:
    """What a table or a figure says of one part must hold for a part of another package too."""
    parts = {
        path.stem for kind in PARTS for path in (ROOT / kind).glob("*.py") if not path.name.startswith("_")
    }
    for module, tree in TREES.items():
        if room(module) not in ("tables", "figures", "analysis", "rendering"):
            continue
        words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        yield from (f"{module} names {part!r}" for part in sorted(parts & words))


RULES = {
    "every room has its place in docs/architecture.md": rooms_without_a_place,
    "a package imports only from those below it": upward_imports,
    "no modules import each other in a circle": import_cycles,
    "no module imports what is private to another": private_imports,
    "no public name is also a module": shadowed_verbs,
    "no two classes have one name": classes_of_one_name,
    "no module is longer than 300 lines": long_modules,
    "Array is defined once": second_arrays,
    "no table or figure names a part": parts_named,
}


@pytest.mark.parametrize("rule", RULES)
def test_the_source_keeps_the_rule(rule):
    assert list(RULES[rule]()) == []
