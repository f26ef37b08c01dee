"""The published tables are what their own CSV and manifest say, to the byte."""

import json
from pathlib import Path

import pytest

from ensembudget.rendering.render import from_csv, render
from ensembudget.tables import memory_split, power_laws

TABLES = Path(__file__).parents[2] / "tables"
PUBLISHED = sorted(path.parent for path in TABLES.glob("*/memory_split.csv"))
LAYOUTS = {"memory_split": memory_split.table, "power_laws": power_laws.table}


def test_there_are_published_tables():
    assert PUBLISHED
    for folder in PUBLISHED:
        assert (folder / "manifest.json").exists(), folder


@pytest.mark.parametrize("kind", ["md", "tex", "html"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_published_table_renders_from_its_csv_again(name, kind):
    for folder in PUBLISHED:
        manifest = json.loads((folder / "manifest.json").read_text())
        notes, study = manifest["notes"][name], manifest["study"]["name"]
        rows = from_csv((folder / f"{name}.csv").read_text())
        again = render(LAYOUTS[name], rows, kind, notes, study)
        assert again == (folder / f"{name}.{kind}").read_text(), folder
