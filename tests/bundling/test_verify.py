"""What somebody changed in a published report is found, be its index written anew or not."""

import json
import shutil
from hashlib import sha256

import pytest
from bundles import (
    cells,
    change_digit,
    edit_arrays,
    edit_label,
    rendered_again,
    sealed_again,
    swap_members,
)

from ensembudget.bundling.contents import read_bundle
from ensembudget.bundling.differing import printed_alike, table_differences, value_differences
from ensembudget.errors import BundleError
from ensembudget.verbs.bundle import results_of_bundle
from ensembudget.verbs.verify import verify, verify_all
from helpers import command


@pytest.mark.parametrize("change", [swap_members, edit_label], ids=lambda change: change.__name__)
def test_other_logits_or_labels_are_caught_by_the_members_digests(change, copy):
    change(copy)
    sealed_again(copy)
    faults = read_bundle(copy).faults
    assert any("are not those that were published" in fault for fault in faults)
    with pytest.raises(BundleError, match="not as it was sealed"):
        results_of_bundle(copy)


def test_a_changed_digit_is_told_with_its_file_row_and_column(copy):
    change_digit(copy, "scores.csv", "nll")
    found = verify(copy)
    assert found.code() == 1
    assert "scores.csv: has changed since the folder was sealed" in found.faults
    (one,) = [one for one in found.differences if one.file == "scores.csv"]
    assert one.place == "row 1, column nll"
    assert one.published != one.computed
    assert one.computed in (copy / "scores.csv").read_text() or one.computed[:-1] == one.published[:-1]


def test_a_change_whose_index_was_written_anew_is_told_by_what_is_computed(copy):
    change_digit(copy, "memory_split.csv", "cnll")
    rendered_again(copy)
    sealed_again(copy)
    found = verify(copy)
    assert found.code() == 1
    assert not found.faults
    places = [(one.file, one.place) for one in found.differences]
    assert places == [("memory_split.csv", "row 1, column cnll")]
    assert found.code(as_printed=True) == 0  # the last of 17 digits
    said = command("verify", copy)
    assert said.code == 1
    assert "row 1, column cnll" in said.out
    assert "1 differ only beyond the printed digits" in said.out
    assert command("verify", copy, "--as-printed").code == 0


def test_a_swapped_member_changes_cells_that_are_told(copy):
    swap_members(copy)
    sealed_again(copy)
    found = verify(copy)
    assert found.code() == 1
    assert len(found.faults) == 2
    assert any(one.file == "scores.csv" for one in found.differences)


def test_a_member_that_is_there_twice_is_told(copy):
    def repeat(arrays):
        one, other, *_ = sorted(name for name in arrays if name.endswith(".test_logits"))
        arrays[one] = arrays[other]

    edit_arrays(cells(copy)[0], repeat)
    sealed_again(copy)
    found = verify(copy)
    assert found.code() == 1
    assert any("copies" in one.computed for one in found.differences)


@pytest.mark.parametrize("name", ["memory_split.md", "memory_split.tex", "memory_split.html", "index.html"])
def test_a_file_for_people_that_says_something_else_is_told(name, copy):
    text = (copy / name).read_text()
    (copy / name).write_text(text.replace("made-up", "fair", 1).replace("0.", "1.", 1))
    shutil.rmtree(copy / "bundle")  # then it is only rendered again, which is quick
    found = verify(copy)
    assert found.code() == 1
    assert [one.file for one in found.differences] == [name]


def test_a_manifest_that_says_other_notes_or_members_is_told(copy):
    said = json.loads((copy / "manifest.json").read_text())
    said["notes"]["memory_split"][0] = "A split always wins."
    said["cells"][0]["done"] += 1
    (copy / "manifest.json").write_text(json.dumps(said, indent=1) + "\n")
    sealed_again(copy)
    places = {one.place for one in verify(copy).differences if one.file == "manifest.json"}
    assert "notes.memory_split[0]" in places
    assert "cells[0].done" in places


def test_a_manifest_older_than_some_fields_is_read_with_their_defaults(copy):
    said = json.loads((copy / "manifest.json").read_text())
    recipe = said["cells"][0]["cell"]["recipe"]
    assert recipe.pop("warmup_steps") == 0
    (copy / "manifest.json").write_text(json.dumps(said, indent=1) + "\n")
    sealed_again(copy)
    assert verify(copy).code() == 0
    recipe["warmup_steps"] = 5
    (copy / "manifest.json").write_text(json.dumps(said, indent=1) + "\n")
    sealed_again(copy)
    (one,) = verify(copy).differences
    assert (one.place, one.published) == ("cells[0].cell.recipe.warmup_steps", "5")


def test_a_plane_whose_last_digits_another_machine_computes_is_alike_as_printed(copy):
    change_digit(copy, "plane.csv", "cnll")
    beside = json.loads((copy / "plane.json").read_text())
    beside["sha256"] = sha256((copy / "plane.csv").read_bytes()).hexdigest()
    (copy / "plane.json").write_text(json.dumps(beside))
    rendered_again(copy)
    sealed_again(copy)
    found = verify(copy)
    assert [(one.file, one.place) for one in found.differences] == [("plane.csv", "row 1, column cnll")]
    assert found.code(as_printed=True) == 0


def test_without_logits_numbers_that_contradict_each_other_are_told(copy):
    shutil.rmtree(copy / "bundle")
    for name, column in (("members.csv", "nll"), ("memory_split.csv", "parameters_total")):
        change_digit(copy, name, column)
    found = verify(copy)
    assert found.code() == 1
    told = {(one.file, one.place) for one in found.differences}
    assert ("members.csv", "row 1, columns nll and accuracy") in told
    assert ("memory_split.csv", "row 1, column parameters_total") in told


def test_a_member_that_no_manifest_has_is_told(copy):
    shutil.rmtree(copy / "bundle")
    text = (copy / "members.csv").read_text()
    key = text.split("\n")[1].split(",")[0]
    (copy / "members.csv").write_text(text.replace(key, "f" * 64))
    places = [one.place for one in verify(copy).differences]
    assert f"member {'f' * 12}" in places
    assert f"member {key[:12]}" in places


def test_a_folder_of_reports_is_checked_report_by_report(copy, tmp_path):
    root = tmp_path / "all"
    for name in ("bare", "broken"):
        shutil.copytree(copy, root / name)
        shutil.rmtree(root / name / "bundle")
    change_digit(root / "broken", "memory_split.csv", "parameters_total")
    (root / "linked").mkdir()
    (root / "linked" / "scores.csv").symlink_to("/etc/hostname")
    assert [one.code() for one in verify_all(root)] == [3, 1, 2]
    said = command("verify", root)
    assert said.code == 2
    assert (
        "3 folders: 0 verified from logits, 1 without logits and consistent, 1 differ, 1 cannot" in said.out
    )


def test_what_is_no_report_is_refused(tmp_path):
    assert command("verify", tmp_path / "nothing").code == 2
    (tmp_path / "notes.txt").write_text("hello")
    said = command("verify", tmp_path)
    assert said.code == 2
    assert "no report" in said.out


def test_numbers_are_alike_where_a_table_prints_them_alike():
    assert printed_alike("0.12341", "0.12339", ".4f")
    assert not printed_alike("0.12344", "0.12346", ".4f")
    assert printed_alike("0.1234567", "0.12345671")
    assert not printed_alike("0.1234567", "0.1234667")
    assert not printed_alike("best", "tie", ".4f")


def test_cells_are_compared_as_text():
    (one,) = table_differences("none", "a,b\n1,2.0\n", "a,b\n1,2.00\n")
    assert (one.place, one.alike_as_printed) == ("row 1, column b", True)
    assert [one.place for one in table_differences("none", "a\n1\n2\n", "a\n1\n")] == ["number of rows"]
    assert [one.place for one in table_differences("none", "a\n", "b\n")] == ["header"]
    assert not table_differences("none", "a\n1\n", "a\n1\n")


def test_values_are_compared_by_their_paths():
    found = value_differences("x", {"a": [1, {"b": 2}], "c": True}, {"a": [1, {"b": 3}], "c": 1, "d": None})
    assert [one.place for one in found] == ["a[1].b", "c"]
