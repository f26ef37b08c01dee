"""Each defence of the store's disk is removed in turn, and an attack must find it."""

import ast
from pathlib import Path

import pytest
from traced_disk import clean

import ensembudget.store
from ensembudget.store import Store
from ensembudget.studies import parse
from ensembudget.verbs.plan import plan_study
from ensembudget.verbs.run import run
from helpers import THREE_PACKS, publish, trained_as

# Every place in which the store waits for the disk.
SYNCS = (
    "make_folder",
    "merge > settle",
    "publish_folder > copy_new",
    "publish_folder > sync: a staged folder",
    "publish_folder > sync: where it is published",
    "publish_folder > write_new",
    "save > settle",
    "set_aside > sync: quarantine",
    "settle > settle",
    "write_whole > sync",
    "write_whole > write_new",
)
OTHERS = (
    "no-replace rename",
    "staged folders",
    "staged documents",
    "sweeping",
    "short writes carried on",
    "calls made again",
    "no fsync tried twice",
)


@pytest.fixture(scope="module")
def without_sync() -> dict[str, str]:
    return clean("removed_defences", "unsynced")


@pytest.fixture(scope="module")
def without() -> dict[str, str]:
    return clean("removed_defences", "removed")


def test_every_fsync_of_the_store_is_removed_in_turn(without_sync):
    assert sorted(without_sync) == sorted(SYNCS)


@pytest.mark.parametrize("site", SYNCS)
def test_without_any_one_fsync_a_power_cut_breaks_a_promise(site, without_sync):
    assert without_sync[site]


@pytest.mark.parametrize("defence", OTHERS)
def test_without_a_defence_an_attack_breaks_a_promise(defence, without):
    assert without[defence]


def test_every_change_to_a_disk_comes_through_the_traced_calls():
    """By the interpreter's own audit events; a history is written by training, and copied by the store."""
    found = clean("store_attacks", "unseen")
    assert found["seen"] > 100
    assert [Path(one).name for one in found["missed"]] == ["epochs.parquet", "steps.parquet"]


def test_the_store_changes_a_disk_by_files_alone():
    changes = {
        "unlink",
        "rename",
        "rmtree",
        "mkdir",
        "rmdir",
        "touch",
        "write_text",
        "write_bytes",
        "symlink_to",
    }
    for path in Path(ensembudget.store.__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text())
        found = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & changes
        assert not found, f"{path.name}: {found}"


def test_a_run_settles_every_member_that_it_reports_though_others_published_it(tmp_path, monkeypatch):
    """Else a member counts as done whose publisher was killed before it waited for the disk."""
    import numpy as np

    store, settled = Store(tmp_path / "store"), []
    plan = plan_study(parse(THREE_PACKS, "three"), store)
    for one in plan.runs:
        publish(store, trained_as(one, np.zeros((2, 10), np.float32)), np.zeros(2, np.int64))
    monkeypatch.setattr(Store, "settle", lambda self, keys: settled.extend(keys))
    assert run(plan, store, executor="serial") == []
    assert {one.key for one in plan.runs} <= set(settled)
