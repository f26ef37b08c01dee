"""README says what is true today: its table is published, its commands parse, its links lead somewhere."""

import json
import re
import shlex
from pathlib import Path

import pytest

from ensembudget.cli.parser import build_parser
from ensembudget.rendering.render import from_csv, render
from ensembudget.tables import memory_split

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SHOWN = ROOT / "tables" / "cifar10-jpeg"


def test_the_first_table_is_the_published_one():
    rows = from_csv((SHOWN / "memory_split.csv").read_text())
    notes = json.loads((SHOWN / "manifest.json").read_text())["notes"]["memory_split"]
    assert render(memory_split.table.short, rows, "md", notes) in README


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)\)", README))
def test_every_link_leads_to_a_file(target):
    assert (ROOT / target).exists()


@pytest.mark.parametrize("line", re.findall(r"^\$ ensembudget (.*?)(?: +#.*)?$", README, re.MULTILINE))
def test_every_command_parses(line):
    words = shlex.split(line)
    assert build_parser(words).parse_args(words).act


def test_every_make_target_exists():
    targets = re.findall(r"^\$ make (\w+)", README, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()
    assert targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_every_folder_of_the_map_exists():
    for name in re.findall(r"\b(\w+)/", README.split("## What is where")[1].split("```")[1]):
        assert (ROOT / name).exists() or (ROOT / "ensembudget" / name).exists()
