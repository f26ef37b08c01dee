"""The published tables and pages are what their own CSV and manifest say, to the byte."""

import pytest
from published import REPORTS, figures, layouts, manifest, rows_of

from ensembudget.rendering.page import page
from ensembudget.rendering.render import render

PAGES = [folder for folder in REPORTS if (folder / "index.html").exists()]


def test_there_are_published_tables():
    assert REPORTS
    assert PAGES


@pytest.mark.parametrize("folder", REPORTS, ids=lambda folder: folder.name)
@pytest.mark.parametrize("kind", ["md", "tex", "html"])
def test_every_published_table_renders_from_its_csv_again(kind, folder):
    notes, study = manifest(folder)["notes"], manifest(folder)["study"]["name"]
    for table in layouts(folder):
        again = render(table, rows_of(folder, table), kind, notes[table.name], study)
        assert again == (folder / f"{table.name}.{kind}").read_text(), table.name


@pytest.mark.parametrize("folder", PAGES, ids=lambda folder: folder.name)
def test_every_published_page_renders_from_its_folder_again(folder):
    assert page(folder, layouts(folder), figures(folder)) == (folder / "index.html").read_text()
