"""Published tables are what their own files say, and where logits are published what follows from them."""

import shutil
from pathlib import Path

import pytest
from bundles import change_digit, edit_label, sealed_again, swap_members

from ensembudget.bundling.collection import COLLECTION_PAGE, collection_page, folders_of
from ensembudget.bundling.contents import has_bundle, read_bundle
from ensembudget.bundling.folder import GivenFolder
from ensembudget.verbs.verify import verify
from helpers import ROOT

TABLES = ROOT / "tables"
FOLDERS = folders_of(TABLES)
WITH = [folder for folder in FOLDERS if has_bundle(GivenFolder(folder))]
WITHOUT = [folder for folder in FOLDERS if folder not in WITH]


def name_of(folder: Path) -> str:
    return folder.name


def test_the_page_that_lists_the_tables_is_what_their_files_say():
    """Else: python -m benchmarks.collection."""
    assert (TABLES / COLLECTION_PAGE).read_text() == collection_page(TABLES)
    assert WITH
    assert WITHOUT


@pytest.mark.parametrize("folder", WITHOUT, ids=name_of)
def test_a_report_without_logits_contradicts_itself_nowhere(folder):
    found = verify(folder)
    assert found.code() == 3, (found.refusal, found.differences)


@pytest.mark.parametrize("folder", WITH, ids=name_of)
def test_a_bundle_is_as_it_was_sealed(folder):
    assert read_bundle(folder).faults == ()


@pytest.mark.slow
@pytest.mark.parametrize("folder", WITH, ids=name_of)
def test_every_published_number_follows_from_its_logits(folder):
    """On another machine the last digits may be others; what tables print may not."""
    found = verify(folder)
    assert found.code(as_printed=True) == 0, (found.refusal, found.faults, found.printed)
    assert found.cells > 100


@pytest.mark.slow
@pytest.mark.parametrize("change", [change_digit, swap_members, edit_label], ids=lambda one: one.__name__)
def test_a_changed_digit_a_swapped_member_and_an_edited_label_are_caught(change, tmp_path):
    """Whoever changed them wrote the index anew."""
    copy = Path(
        shutil.copytree(min(WITH, key=lambda one: sum(GivenFolder(one).sizes.values())), tmp_path / "copy")
    )
    change(copy)
    sealed_again(copy)
    found = verify(copy)
    assert found.code() == 1
    assert any(one.file == "scores.csv" for one in found.differences)
    assert bool(found.faults) == (change is not change_digit)
