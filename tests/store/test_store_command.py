"""`ensembudget store`: what it lists, what it removes and only when told, and what becomes of two stores."""

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import helpers
from ensembudget.errors import StoreError
from ensembudget.records import Plan, Run, Study, Task
from ensembudget.store import Store
from ensembudget.store.sweeping import staging_name

RUNS = [Run(cell=helpers.CELL, seed=seed) for seed in range(4)]
LABELS = np.arange(10) % 10


def publish(root, run, seed=None, *, diverged_at=None, weights=None):
    rng = np.random.default_rng(run.seed if seed is None else seed)
    trained = helpers.trained_as(run, rng.normal(size=(10, 10)).astype(np.float32), diverged_at=diverged_at)
    helpers.publish(Store(root), replace(trained, weights=weights), LABELS)


@pytest.fixture
def root(tmp_path):
    """Three members: one with weights, one diverged."""
    root = tmp_path / "here"
    publish(root, RUNS[0], weights={"a": np.ones(3, np.float32)})
    publish(root, RUNS[1])
    publish(root, RUNS[2], diverged_at=1)
    return root


def rows(said):
    assert (said.code, said.err) == (0, "")
    return list(csv.DictReader(io.StringIO(said.out)))


def contents(root: Path) -> dict[str, bytes]:
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def test_ls_counts_the_members_of_a_cell_and_their_bytes(root, command):
    (row,) = rows(command("store", "ls", "--store", root, "--format", "csv"))
    assert (row["family"], row["width"], row["train_size"]) == ("wide_resnet", "4", "100")
    assert (row["done"], row["diverged"], row["weights"]) == ("2", "1", "1")
    files = [path for path in root.glob("members/*/*/*") if path.is_file()]
    assert int(row["bytes"]) == sum(path.stat().st_size for path in files)
    assert row["key"] == helpers.CELL.key


def test_ls_names_a_member_that_cannot_be_read_and_leaves_it_in_place(root, command):
    folder = root / "members" / RUNS[1].key[:2] / RUNS[1].key
    (folder / "member.json").write_text("{}")
    said = command("store", "ls", "--store", root, "--format", "json")
    assert said.code == 0
    assert json.loads(said.out)[0]["done"] == 1
    assert RUNS[1].key in said.err
    assert folder.is_dir()


def test_du_says_what_each_kind_takes_and_all_of_it(root, command):
    found = {row["kind"]: row for row in rows(command("store", "du", "--store", root, "--format", "csv"))}
    assert set(found) == {"members"}
    sizes = [len(one) for name, one in contents(root).items() if name.startswith("members/")]
    assert (int(found["members"]["files"]), int(found["members"]["bytes"])) == (len(sizes), sum(sizes))


@pytest.fixture
def littered(root):
    """That store with one of everything that is no longer needed; and what must stay."""
    (root / "quarantine" / "damaged-1").mkdir(parents=True)
    (root / "quarantine" / "damaged-1" / "member.json").write_text("x" * 100)
    store = Store(root)
    store.record_failure(RUNS[0].key, "raised once, and is there now")
    store.record_failure(RUNS[3].key, "raised, and is not there")
    lone = root / "artefacts" / "weights" / RUNS[3].key[:2] / RUNS[3].key
    lone.mkdir(parents=True)
    (lone / "weights.safetensors").write_text("x")
    (root / "tmp" / staging_name()).mkdir(parents=True)  # of this process, which goes on
    gone = staging_name().split(".")
    (root / "tmp" / f"{gone[0]}.{2**22 + 1}.x").mkdir()  # of a process that cannot be
    return root


def test_gc_says_what_it_would_remove_and_removes_nothing(littered, command):
    before = contents(littered)
    said = command("store", "gc", "--store", littered, "--format", "csv")
    assert said.code == 0
    found = {Path(row["path"]).name for row in csv.DictReader(io.StringIO(said.out))}
    process = next(path.name for path in (littered / "tmp").iterdir() if path.name.endswith(".x"))
    assert found == {"damaged-1", f"{RUNS[0].key}.json", RUNS[3].key, process}
    assert "Nothing was removed; say --yes" in said.err
    assert contents(littered) == before


def test_gc_removes_with_yes_and_leaves_the_rest(littered, command):
    members = {name: one for name, one in contents(littered).items() if name.startswith("members/")}
    said = command("store", "gc", "--yes", "--store", littered)
    assert said.code == 0
    assert "removed" in said.err
    left = contents(littered)
    assert {name: one for name, one in left.items() if name.startswith("members/")} == members
    assert set(left) - set(members) == {"store.json", f"failures/{RUNS[3].key}.json"}
    assert len(list((littered / "tmp").iterdir())) == 1
    again = command("store", "gc", "--store", littered)
    assert "0 things, 0 bytes. Nothing was removed." in again.err


def test_merge_takes_over_what_is_missing_and_every_byte_of_it(root, command, tmp_path):
    here = tmp_path / "there"
    publish(here, RUNS[3])
    before = contents(here)
    said = command("store", "merge", root, "--store", here)
    assert (said.code, said.out, said.err) == (0, "", "3 new\n")
    assert contents(here) == before | contents(root)
    assert Store(here).read(RUNS[2].key).member.diverged_at == 1
    again = command("store", "merge", root, "--store", here)
    assert again.err == "3 same\n"


def test_merge_into_a_store_that_is_not_there_yet_makes_it(root, command, tmp_path):
    assert command("store", "merge", root, "--store", tmp_path / "new").code == 0
    assert contents(tmp_path / "new") == contents(root)


def test_a_conflict_is_told_and_what_is_here_stays(root, command, tmp_path):
    here = tmp_path / "there"
    publish(here, RUNS[0], seed=99)  # the same key, other logits
    before = contents(here)
    said = command("store", "merge", root, "--store", here, "--format", "json")
    assert said.code == 1
    (conflict,) = [one for one in json.loads(said.out) if one["outcome"] == "conflict"]
    assert (conflict["kind"], conflict["name"]) == ("member", RUNS[0].key)
    assert "other logits" in conflict["why"]
    assert before.items() <= contents(here).items()
    with pytest.raises(StoreError, match="not kept"):
        Store(here).weights(RUNS[0].key)  # weights of other logits are not taken over


def test_weights_alone_are_taken_over_where_the_logits_are_the_same(root, command, tmp_path):
    here = tmp_path / "there"
    publish(here, RUNS[0])
    said = command("store", "merge", root, "--store", here)
    assert said.err == "3 new, 1 same\n"  # two members and one's weights
    assert np.array_equal(Store(here).weights(RUNS[0].key)["a"], np.ones(3, np.float32))
    third = tmp_path / "third"
    publish(third, RUNS[0])
    assert command("store", "merge", here, "--store", third).code == 0  # from where they lie beside it
    assert np.array_equal(Store(third).weights(RUNS[0].key)["a"], np.ones(3, np.float32))


def test_a_damaged_member_of_the_other_store_is_left_out_and_told(root, command, tmp_path):
    folder = root / "members" / RUNS[1].key[:2] / RUNS[1].key
    (folder / "logits.safetensors").write_bytes(b"x")
    said = command("store", "merge", root, "--store", tmp_path / "new", "--format", "csv")
    assert said.code == 1
    bad = [row for row in csv.DictReader(io.StringIO(said.out)) if row["outcome"] == "unreadable"]
    assert [row["name"] for row in bad] == [RUNS[1].key]
    assert RUNS[1].key not in Store(tmp_path / "new")
    assert folder.is_dir()


def test_plans_come_along_and_another_plan_of_the_study_is_a_conflict(root, command, tmp_path):
    study = Study(name="x", description="", family="vgg", dataset="digits", widths=[4])
    Store(root).save_plan(Plan(study=study, splits=[], cells=[]))
    here = tmp_path / "there"
    assert "4 new" in command("store", "merge", root, "--store", here).err
    assert Store(here).saved_plan(study) == Store(root).saved_plan(study)
    shutil.rmtree(here / "plans")
    planned = Plan(study=study, splits=[], cells=[], task=Task(classes=10, channels=1, image_size=8))
    Store(here).save_plan(planned)
    said = command("store", "merge", root, "--store", here)
    assert said.code == 1
    assert "1 conflict" in said.err
    assert Store(here).saved_plan(study) == planned


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("merge",), "store merge OTHER"),
        (("ls", "other"), "takes no 'other'"),
        (("ls", "--yes"), "--yes belongs to `store gc`"),
        (("mrge", "x"), "Did you mean 'merge'?"),
        (("ls", "--store", "nowhere"), "no store at 'nowhere'"),
        (("merge", "nowhere"), "no store at 'nowhere'"),
    ],
)
def test_a_request_that_cannot_be_is_refused_and_makes_nothing(asked, words, command, folder):
    said = command("store", *asked)
    assert (said.code, said.out) == (2, "")
    assert words in said.err
    assert list(folder.iterdir()) == []


def test_several_stores_are_merged_at_once(root, command, tmp_path):
    alone, together = tmp_path / "alone", tmp_path / "together"
    assert command("store", "merge", root, "--store", alone).code == 0
    said = command("store", "merge", root, alone, "--store", together)
    assert said.code == 0
    assert "new" in said.err
    assert "same" in said.err
    assert sorted(Store(together).keys()) == sorted(Store(root).keys())


def test_a_store_is_not_merged_into_itself(root, command):
    said = command("store", "merge", root, "--store", f"{root}/../here")
    assert said.code == 2
    assert "into itself" in said.err
