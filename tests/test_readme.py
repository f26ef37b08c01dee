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


def test_every_folder_at_the_top_is_explained():
    """No more, no less. tests/test_architecture.py does the same for the folders of the package."""
    block = README.split("## Where things are")[1].split("```")[1]
    explained = sorted(line.split()[0] for line in block.splitlines() if line.strip())
    ignored = {line.strip("/\n") for line in (ROOT / ".gitignore").read_text().splitlines()}
    assert explained == sorted(f"{name}/" for name in folders(ROOT) - ignored)


def test_every_page_is_linked():
    pages = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}
    assert pages <= set(re.findall(r"\]\(([^)#:]+)\)", README))


def folders(place: Path) -> set[str]:
    """Folders that hold a file, but for hidden and underscored ones.

    A folder of nothing but compiled files is what a module that moved left behind.
    """
    sources = (path for path in place.glob("*/**/*") if path.is_file() and path.suffix != ".pyc")
    return {name for path in sources if (name := path.relative_to(place).parts[0])[0] not in "_."}
