"""Stores of machines that share nothing: in whatever order they are merged, their union comes out."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest

import helpers
from ensembudget.errors import StoreError
from ensembudget.records import Plan, Run, Study
from ensembudget.store import Store, publishing
from ensembudget.store.merging import CONFLICT, NEW, SAME, UNREADABLE

RUNS = [Run(cell=helpers.CELL, seed=seed) for seed in range(8)]
LABELS = np.arange(10) % 10


def publish(store: Store, run: Run, *, seed: int | None = None) -> None:
    logits = np.random.default_rng(run.seed if seed is None else seed).normal(size=(10, 10))
    helpers.publish(store, helpers.trained_as(run, logits.astype(np.float32)), LABELS)


def contents(store: Store) -> dict[str, bytes]:
    root = store.root
    return {str(one.relative_to(root)): one.read_bytes() for one in sorted(root.rglob("*")) if one.is_file()}


def outcomes(here: Store, other: Store) -> set[str]:
    return {one.outcome for one in here.merge(other)}


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_order_and_however_often_the_union_comes_out(seed, tmp_path):
    """Three machines with members, and plans, of which some are on several."""
    dice = random.Random(seed)
    stores = [Store(tmp_path / name) for name in "abc"]
    for run in RUNS:
        for store in dice.sample(stores, dice.randint(1, 3)):
            publish(store, run)
    for width in range(3):
        study = Study(name=f"x{width}", description="", family="vgg", dataset="digits", widths=[width + 4])
        dice.choice(stores).save_plan(Plan(study=study, splits=[], cells=[]))
    whole = {name: content for store in stores for name, content in contents(store).items()}
    here = Store(tmp_path / "union")
    for other in [*dice.sample(stores, 3), *dice.choices(stores, k=2)]:
        here.merge(other)
    assert contents(here) == whole
    assert all(outcomes(here, other) == {SAME} for other in stores if contents(other))
    assert contents(here) == whole


@pytest.mark.parametrize("after", range(4))
def test_a_merge_that_is_broken_off_is_finished_by_the_next(after, tmp_path, monkeypatch):
    other, here = Store(tmp_path / "other"), Store(tmp_path / "here")
    for run in RUNS[:4]:
        publish(other, run)
    usual, calls = publishing.publish_folder, []

    def full(*asked):
        calls.append(asked)
        if len(calls) > after:
            raise OSError(28, "No space left on device")
        return usual(*asked)

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "publish_folder", full)
        with pytest.raises(StoreError, match=r"here.*No space left on device"):
            here.merge(other)
    members = list((here.root / "members").glob("*/*"))
    assert len(members) == after
    assert outcomes(here, other) == ({NEW, SAME} if after else {NEW})
    assert contents(here) == contents(other)


def test_a_conflict_is_told_every_time_and_changes_nothing_on_either_side(tmp_path):
    other, here = Store(tmp_path / "other"), Store(tmp_path / "here")
    publish(other, RUNS[0])
    publish(other, RUNS[1])
    publish(here, RUNS[0], seed=99)
    before, there = contents(here), contents(other)
    assert outcomes(here, other) == {NEW, CONFLICT}
    assert outcomes(here, other) == {SAME, CONFLICT}
    assert before.items() <= contents(here).items()
    assert contents(other) == there


def member(store: Store, run: Run) -> Path:
    return store.root / "members" / run.key[:2] / run.key


def test_a_member_there_without_its_description_is_told_and_the_others_are_taken(tmp_path):
    other, here = Store(tmp_path / "other"), Store(tmp_path / "here")
    for run in RUNS[:3]:
        publish(other, run)
    (member(other, RUNS[1]) / "member.json").unlink()
    found = {one.name: one for one in here.merge(other)}
    assert {name: one.outcome for name, one in found.items()} == {
        RUNS[0].key: NEW, RUNS[1].key: UNREADABLE, RUNS[2].key: NEW
    }  # fmt: skip
    assert "No such file" in found[RUNS[1].key].why


@pytest.mark.parametrize("damage", ["garbled", "gone"])
def test_a_member_that_is_damaged_here_is_said_to_be_the_one_here(damage, tmp_path):
    other, here = Store(tmp_path / "other"), Store(tmp_path / "here")
    for run in RUNS[:2]:
        publish(other, run)
    publish(here, RUNS[0])
    description = member(here, RUNS[0]) / "member.json"
    description.write_text("{}") if damage == "garbled" else description.unlink()
    found = {one.name: one for one in here.merge(other)}
    assert (found[RUNS[0].key].outcome, found[RUNS[1].key].outcome) == (CONFLICT, NEW)
    assert "the one here is damaged" in found[RUNS[0].key].why
    with pytest.raises(StoreError, match="damaged"):  # set aside, as ever, by whoever reads it
        here.read(RUNS[0].key)
    assert outcomes(here, other) == {NEW, SAME}
    assert here.read(RUNS[0].key).member.run == RUNS[0]


def test_a_plan_there_that_is_no_file_is_told_and_the_rest_is_taken(tmp_path):
    other, here = Store(tmp_path / "other"), Store(tmp_path / "here")
    publish(other, RUNS[0])
    study = Study(name="x", description="", family="vgg", dataset="digits", widths=[4])
    other.save_plan(Plan(study=study, splits=[], cells=[]))
    (plan,) = (other.root / "plans").glob("*.json")
    shutil.move(plan, plan.with_name("0" * 64 + ".json"))
    plan.mkdir()
    found = [one for one in here.merge(other) if one.kind == "plan"]
    assert sorted(one.outcome for one in found) == sorted([NEW, UNREADABLE])
    assert here.saved_plan(study) is not None
