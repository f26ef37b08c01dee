"""README and docs/ say what is true: tables are published, commands parse, links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest

from ensembudget.cli.parser import build_parser
from ensembudget.rendering.render import from_csv, render
from ensembudget.tables import map

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SHOWN = ROOT / "tables" / "cifar10-jpeg-map"


def test_the_first_table_is_the_published_one():
    assert render(map.table.short, from_csv((SHOWN / "map.csv").read_text()), "md").strip() in README


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


COMMANDS = [
    line
    for page in PAGES
    for line in re.findall(r"^\$ ensembudget (.*?)(?: +#.*)?$", page.read_text(), re.MULTILINE)
]


@pytest.mark.parametrize("line", dict.fromkeys(COMMANDS))
def test_every_command_parses(line):
    words = shlex.split(line)
    assert build_parser(words).parse_args(words).act


def test_every_make_target_exists():
    targets = re.findall(r"^\$ make (\w+)", README, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()
    assert targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_the_map_is_the_tree():
    """Every folder and module of the package, every folder at the top, every page: no more, no less."""
    block = README.split("## What is where")[1].split("```")[1]
    lines = [re.split(r" {2,}", line.strip())[0].split() for line in block.splitlines() if line.strip()]
    inside = [line.startswith(" ") for line in block.splitlines() if line.strip()]
    package = sorted(name for names, deep in zip(lines, inside, strict=True) if deep for name in names)
    top = sorted(name for names, deep in zip(lines, inside, strict=True) if not deep for name in names)
    assert package == sorted(entries(ROOT / "ensembudget"))
    pages = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}
    ignored = {line.strip("/\n") for line in (ROOT / ".gitignore").read_text().splitlines()}
    folders = {name for name in entries(ROOT) if name.endswith("/") and name.rstrip("/") not in ignored}
    assert top == sorted(folders - {"docs/"} | pages)


def entries(folder: Path) -> set[str]:
    """Folders with a slash and modules with their ending, but for hidden and underscored ones.

    A folder of nothing but compiled files is what a module that moved left behind.
    """
    sources = (path for path in folder.glob("*/**/*") if path.is_file() and path.suffix != ".pyc")
    found = {f"{path.relative_to(folder).parts[0]}/" for path in sources}
    found |= {path.name for path in folder.glob("*.py")}
    return {name for name in found if name[0] not in "_."}
