"""What is recorded while members train, from `run` to the store; and two arms from `run` to a report."""

import csv
import errno
import gc
import hashlib
import io
import json
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
from scipy.special import log_softmax, logsumexp

from ensembudget import studies
from ensembudget.cli import main
from ensembudget.cli.values import read_costs
from ensembudget.errors import StoreError
from ensembudget.executors._base import Outcome
from ensembudget.records import Plan
from ensembudget.store import Store, publishing
from ensembudget.tables import memory_split
from ensembudget.training.history import Log, Recorder
from ensembudget.training.loop import train
from ensembudget.verbs.analyse import analyse
from ensembudget.verbs.evaluate import evaluate
from ensembudget.verbs.plan import plan_study
from ensembudget.verbs.run import run
from ensembudget.verbs.status import status

EPOCHS, BATCHES = 3, 4  # 100 images in batches of 32
RECORDED = """
name = "recorded"
description = "two members on the sphere and two off it"
family = "convnet"
options = { invariance = "full" }
dataset = "digits"
train_size = 100
widths = [2]
pool = 2
stepping = { pack = 2 }
keep_weights = true

[recipe]
epochs = 3
batch_size = 32
crop_padding = 1
momentum = 0.0

[record]
steps = 2
test_size = 10000

[[arms]]
name = "bn"
recipe = { learning_rate = 0.05, weight_decay = 1e-3 }

[[arms]]
name = "sphere"
mode = "sphere"
recipe = { effective_learning_rate = 1e-2, weight_decay = 0.0, schedule = "constant" }
"""
ARMS = ("bn", "sphere")
TENSORS = ["features.0.weight", "features.3.weight", "features.7.weight", "features.11.weight"]
EPOCH_COLUMNS = [
    "epoch", "step", "rate", "effective_learning_rate", "norm", "train_loss", "gradient_norm",
    "effective_gradient_norm", "mean_gradient_norm", "gradient_deviation", "test_loss", "test_error",
    "cosine_to_start", "cosine_to_last", *(f"norm/{name}" for name in TENSORS),
]  # fmt: skip
STEP_COLUMNS = [
    "step", "train_loss", "rate", "effective_learning_rate", "squared_norm", "squared_gradient_norm",
    "weights_dot_gradient", "squared_norm_after", "cosine",
]  # fmt: skip
HISTORIES = ("epochs.parquet", "steps.parquet")


def planned(*changes: tuple[str, str]) -> Plan:
    text = RECORDED
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return plan_study(studies.parse(text, "recorded"))


def packs_of(size: int) -> Plan:
    return planned(("{ pack = 2 }", f"{{ pack = {size} }}"))


def train_serially(plan: Plan, root: Path) -> Store:
    store = Store(root)
    outcomes = run(plan, store, executor="serial")
    assert sorted(one.key for one in outcomes) == sorted(r.key for r in plan.runs)
    assert {one.status for one in outcomes} == {"done"}, outcomes
    return store


@pytest.fixture(scope="module")
def stores(tmp_path_factory, cache) -> dict[int, tuple[Plan, Store]]:
    """Both arms once, member by member and two at a time."""
    root = tmp_path_factory.mktemp("trained")
    return {n: (packs_of(n), train_serially(packs_of(n), root / f"{n}")) for n in (1, 2)}


@pytest.fixture(params=[1, 2], ids=["packs of 1", "packs of 2"])
def trained(request, stores) -> tuple[Plan, Store]:
    return stores[request.param]


@pytest.fixture
def whole(stores) -> tuple[Plan, Store]:
    return stores[2]


@pytest.fixture
def mine(whole, tmp_path) -> tuple[Plan, Store]:
    """A copy of the store, to be damaged."""
    shutil.copytree(whole[1].root, tmp_path / "copy")
    return whole[0], Store(tmp_path / "copy")


def folder_of(store: Store, key: str) -> Path:
    return store.root / "members" / key[:2] / key


def keys_of(plan: Plan, arm: str) -> list[str]:
    return [r.key for cell in plan.cells if cell.arm == arm for r in cell.runs]


def histories(store: Store) -> dict[str, str]:
    return {
        f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in store.root.glob("members/*/*/*.parquet")
    }


def files(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        path.relative_to(folder).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }  # fmt: skip


def staging_of(store: Store) -> list[Path]:
    tmp = store.root / "tmp"
    return list(tmp.iterdir()) if tmp.exists() else []


# Where they lie.


def test_histories_lie_in_their_members_folder_and_are_listed_with_digests(trained):
    plan, store = trained
    assert len(plan.runs) == 4
    for one in plan.runs:
        folder = folder_of(store, one.key)
        there = {path.name for path in folder.iterdir()}
        assert there == {"member.json", "logits.safetensors", "weights.safetensors", *HISTORIES}
        listed = json.loads((folder / "member.json").read_text())["files"]
        assert set(listed) == there - {"member.json"}
        for name, facts in listed.items():
            content = (folder / name).read_bytes()
            assert facts == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_nothing_is_left_in_staging(trained):
    assert staging_of(trained[1]) == []
    assert not list(trained[1].root.rglob(".*"))


def test_histories_are_parquet_of_numbers_without_this_machines_paths(trained):
    _, store = trained
    paths = sorted(store.root.glob("members/*/*/*.parquet"))
    assert len(paths) == 8
    for path in paths:
        table = pq.read_table(path)
        assert {str(kind) for kind in table.schema.types} == {"double"}
        assert table.num_rows == (EPOCHS if path.name == "epochs.parquet" else EPOCHS * BATCHES // 2)
        assert str(store.root).encode() not in path.read_bytes()


def test_a_history_has_its_columns_and_rows(trained):
    plan, store = trained
    for one in plan.runs:
        epochs, steps = store.history(one.key, "epochs"), store.history(one.key, "steps")
        assert set(EPOCH_COLUMNS) <= set(epochs.columns)
        assert {name for name in epochs if "/" in name} == {f"norm/{name}" for name in TENSORS}
        assert set(STEP_COLUMNS) <= set(steps.columns)
        assert epochs["epoch"].tolist() == [1, 2, 3]
        assert epochs["step"].tolist() == [BATCHES, 2 * BATCHES, 3 * BATCHES]
        assert steps["step"].tolist() == list(range(0, EPOCHS * BATCHES, 2))
        assert epochs.notna().all(axis=None)
        assert steps.notna().all(axis=None)


def test_a_history_gives_the_columns_that_are_asked_for(whole):
    plan, store = whole
    key = plan.runs[0].key
    all_of_it = store.history(key, "epochs")
    some = store.history(key, "epochs", ["test_loss", "epoch"])
    pd.testing.assert_frame_equal(some, all_of_it[["test_loss", "epoch"]])
    assert store.history(key, "steps", ["step"])["step"].tolist() == [0, 2, 4, 6, 8, 10]


def test_a_member_that_recorded_nothing_has_no_history(tmp_path):
    plan = planned(("[record]\nsteps = 2\ntest_size = 10000\n", ""), ("epochs = 3", "epochs = 1"))
    store = train_serially(plan, tmp_path / "store")
    for one in plan.runs:
        assert store.history(one.key, "epochs") is None
        assert store.history(one.key, "steps") is None
        assert not list(folder_of(store, one.key).glob("*.parquet"))
        assert store.read(one.key).member.run == one


@pytest.mark.parametrize(
    ("record", "epochs", "steps"),
    [
        ("every = 2", [2], None),
        ("every = 5", None, None),
        ("every = 5\nsteps = 100", None, [0]),
        ("steps = 1\nevery = 3", [3], list(range(EPOCHS * BATCHES))),
    ],
)
def test_rows_come_when_they_are_due_and_no_file_where_none_is(record, epochs, steps, tmp_path):
    plan = planned(("steps = 2\ntest_size = 10000", f"test_size = 0\n{record}"))
    store = train_serially(plan, tmp_path / "store")
    for one in plan.runs:
        store.read(one.key)
        for name, column, expected in (("epochs", "epoch", epochs), ("steps", "step", steps)):
            found = store.history(one.key, name)
            assert (None if found is None else found[column].tolist()) == expected
            assert (folder_of(store, one.key) / f"{name}.parquet").exists() == (expected is not None)
            if found is not None:
                assert not {"test_loss", "test_error"} & set(found)


# What they say, beside what else the store has of a member.


def nll_and_error(logits, labels):
    log_probs = log_softmax(logits.astype(np.float64), -1)
    wrong = logits.argmax(-1) != labels
    return -log_probs[np.arange(len(labels)), labels].mean(), wrong.mean()


def test_the_last_epoch_says_what_the_stored_logits_and_weights_say(trained):
    plan, store = trained
    for one in plan.runs:
        stored, epochs = store.read(one.key), store.history(one.key, "epochs")
        last = epochs.iloc[-1]
        nll, error = nll_and_error(stored.test_logits, stored.test_labels)
        assert last["test_loss"] == pytest.approx(nll, rel=1e-5)
        assert last["test_error"] == pytest.approx(error, abs=1e-6)
        np.testing.assert_allclose(epochs["train_loss"], stored.train_loss, rtol=1e-5)
        weights = safetensors.numpy.load_file(folder_of(store, one.key) / "weights.safetensors")
        for name in TENSORS:
            assert last[f"norm/{name}"] == pytest.approx(np.linalg.norm(weights[name]), rel=1e-5)
        each = epochs[[f"norm/{name}" for name in TENSORS]]
        np.testing.assert_allclose(epochs["norm"] ** 2, (each**2).sum(axis=1), rtol=1e-5)


def test_a_members_two_histories_agree_where_they_meet(trained):
    plan, store = trained
    for one in plan.runs:
        epochs, steps = store.history(one.key, "epochs"), store.history(one.key, "steps")
        met = epochs.merge(steps, on="step")  # a row at a step's beginning, so after that epoch's end
        assert met["step"].tolist() == [BATCHES, 2 * BATCHES]
        np.testing.assert_allclose(met["norm"] ** 2, met["squared_norm"], rtol=1e-5)
        for cosine in (epochs["cosine_to_start"], epochs["cosine_to_last"], steps["cosine"]):
            assert (cosine.abs() <= 1 + 1e-6).all()
        assert epochs["cosine_to_start"][0] == epochs["cosine_to_last"][0]


def test_rates_are_those_of_mode_and_schedule(trained):
    plan, store = trained
    for key in keys_of(plan, "bn"):
        epochs = store.history(key, "epochs")
        # Of epochs 1 to 3: half the time constant, then linear to a hundredth at nine tenths.
        factors = [1, 1 - 0.99 * (2 / 3 - 0.5) / 0.4, 0.01]
        np.testing.assert_allclose(epochs["rate"], 0.05 * np.array(factors), rtol=1e-6)
        np.testing.assert_allclose(
            epochs["effective_learning_rate"], epochs["rate"] / epochs["norm"] ** 2, rtol=1e-5
        )
        assert epochs["norm"].nunique() == EPOCHS
    for key in keys_of(plan, "sphere"):
        epochs, steps = store.history(key, "epochs"), store.history(key, "steps")
        for column in (epochs["rate"], epochs["effective_learning_rate"], steps["effective_learning_rate"]):
            np.testing.assert_allclose(column, 1e-2, rtol=1e-6)
        np.testing.assert_allclose(steps["squared_norm"], steps["squared_norm"][0], rtol=1e-5)
        np.testing.assert_allclose(epochs["norm"] ** 2, steps["squared_norm"][0], rtol=1e-5)


def test_a_member_is_the_same_with_a_history_and_without(whole, digits, tmp_path):
    plan, _ = whole
    for cell in plan.cells:
        with_it = train(cell.runs, digits, histories=tmp_path / cell.arm, keep_weights=True)
        without = train(cell.runs, digits, keep_weights=True)
        for one, other in zip(with_it, without, strict=True):
            assert (one.history is None, other.history) == (False, None)
            assert one.test_logits.tobytes() == other.test_logits.tobytes()
            assert one.train_loss.tobytes() == other.train_loss.tobytes()
            for name, weights in one.weights.items():
                assert weights.tobytes() == other.weights[name].tobytes(), name


def test_members_side_by_side_have_the_histories_they_have_alone(tmp_path):
    """In double precision: in single, a rounding that decides a ReLU grows to percents within 12 steps."""
    stores = []
    for size in (1, 2):
        plan = planned(
            ("{ pack = 2 }", f"{{ pack = {size} }}"), ("epochs = 3", 'epochs = 3\nprecision = "float64"')
        )
        stores.append(train_serially(plan, tmp_path / f"{size}"))
    for one in plan.runs:
        for name, columns in (("epochs", EPOCH_COLUMNS), ("steps", STEP_COLUMNS)):
            alone, together = (store.history(one.key, name, columns) for store in stores)
            pd.testing.assert_frame_equal(alone, together, rtol=1e-9, atol=1e-9)


# The same again.


def test_a_second_run_trains_nothing_and_leaves_every_file_as_it_was(mine):
    plan, store = mine
    before = files(store.root)
    assert run(plan, store, executor="serial") == []
    assert files(store.root) == before


def test_two_runs_into_two_stores_give_the_same_histories_to_the_byte(trained, tmp_path):
    plan, store = trained
    again = train_serially(plan, tmp_path / "store")
    assert histories(again) == histories(store)
    assert len(histories(again)) == 8


@pytest.mark.parametrize("size", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_another_process_writes_the_same_histories_to_the_byte(size, tmp_path):
    """Two runs, of one executor each; threads and packs are the same."""
    plan, store = packs_of(size), Store(tmp_path / "processes")
    outcomes = run(plan, store, executor="processes", workers=1)
    assert {one.status for one in outcomes} == {"done"}
    assert sorted(one.key for one in outcomes) == sorted(r.key for r in plan.runs)
    assert histories(store) == histories(train_serially(plan, tmp_path / "serial"))
    assert staging_of(store) == []
    for one in plan.runs:
        assert store.read(one.key).member.run == one
        assert len(store.history(one.key, "epochs")) == EPOCHS
    assert run(plan, store, executor="processes", workers=1) == []


def test_the_missing_one_of_a_pack_gets_the_history_it_had(mine):
    plan, store = mine
    gone = keys_of(plan, "sphere")[1]
    before = histories(store)
    kept = files(folder_of(store, keys_of(plan, "sphere")[0]))
    shutil.rmtree(folder_of(store, gone))
    assert run(plan, store, executor="serial") == [Outcome(key=gone, status="done")]
    assert histories(store) == before
    assert files(folder_of(store, keys_of(plan, "sphere")[0])) == kept
    assert staging_of(store) == []


# Damage.


def flip(path: Path, where: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "first byte": lambda path: flip(path, 0),
    "byte in the middle": lambda path: flip(path, 0.5),
    "last byte": lambda path: flip(path, 0.99999),
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: os.truncate(path, 0),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "missing": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "renamed": lambda path: path.rename(path.with_name("epoch.parquet")),
}


def assert_quarantined(store: Store, key: str) -> None:
    with pytest.raises(StoreError, match="is damaged") as caught:
        store.read(key)
    assert key in str(caught.value)
    assert key not in store
    (kept,) = (store.root / "quarantine").glob(f"{key}-*")
    assert str(kept) in str(caught.value)


@pytest.mark.parametrize("name", HISTORIES)
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_history_is_found_and_its_member_quarantined(damage, name, mine):
    plan, store = mine
    key, *others = (r.key for r in plan.runs)
    damage(folder_of(store, key) / name)
    assert_quarantined(store, key)
    assert [store.read(other).member.run.key for other in others] == others


@pytest.mark.parametrize("name", HISTORIES)
def test_another_members_history_is_found(name, mine):
    plan, store = mine
    one, other = keys_of(plan, "bn")
    shutil.copy(folder_of(store, other) / name, folder_of(store, one) / name)
    assert_quarantined(store, one)
    assert store.read(other)


def test_a_members_two_histories_in_each_others_place_are_found(mine):
    plan, store = mine
    folder = folder_of(store, plan.runs[0].key)
    epochs, steps = (folder / name for name in HISTORIES)
    epochs.rename(folder / "spare")
    steps.rename(epochs)
    (folder / "spare").rename(steps)
    assert_quarantined(store, plan.runs[0].key)


def test_a_history_where_none_was_published_is_found(tmp_path, mine):
    plan = planned(("[record]\nsteps = 2\ntest_size = 10000\n", ""), ("epochs = 3", "epochs = 1"))
    store = train_serially(plan, tmp_path / "store")
    recorded, other = mine
    key = plan.runs[0].key
    shutil.copy(folder_of(other, recorded.runs[0].key) / "epochs.parquet", folder_of(store, key))
    assert_quarantined(store, key)


def test_a_member_with_a_damaged_history_is_trained_anew_to_the_same_history(mine):
    plan, store = mine
    before, key = histories(store), plan.runs[0].key
    flip(folder_of(store, key) / "epochs.parquet", 0.5)
    assert_quarantined(store, key)
    outcomes = run(plan, store, executor="serial")
    assert [(one.key, one.status) for one in outcomes] == [(key, "done")]
    assert histories(store) == before
    assert len(list((store.root / "quarantine").iterdir())) == 1


# Training that ends otherwise.


def raising(really, error: BaseException, at: int):
    """A method that raises at its call of that number."""
    calls = []

    def method(self, *arguments):
        calls.append(arguments)
        if len(calls) == at:
            raise error
        return really(self, *arguments)

    return method


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("part", "method", "at", "error"),
    [
        (Recorder, "end_epoch", 2, RuntimeError("out of patience")),
        (Recorder, "before_step", 7, FULL),
        (Log, "flush", 2, FULL),
    ],
    ids=["after an epoch", "before a step", "into a file"],
)
def test_training_that_raises_leaves_no_staging_and_the_same_command_resumes(
    part, method, at, error, whole, tmp_path, monkeypatch
):
    plan, store = whole[0], Store(tmp_path / "store")
    with monkeypatch.context() as patch:
        patch.setattr(part, method, raising(getattr(part, method), error, at))
        outcomes = run(plan, store, executor="serial")
    gc.collect()  # files that were left open say so now
    failed = [one for one in outcomes if one.status == "failed"]
    assert len(failed) == 2  # one pack of two
    assert all(str(error) in one.reason for one in failed)
    assert staging_of(store) == []
    assert {p.name for p in store.root.glob("members/*/*")} == {r.key for r in plan.runs} - {
        one.key for one in failed
    }
    rows = status(plan, store)
    assert [(row.done, row.failed, row.missing) for row in rows] in ([(0, 2, 2), (2, 0, 0)],
                                                                     [(2, 0, 0), (0, 2, 2)])  # fmt: skip
    again = run(plan, store, executor="serial")
    assert sorted(one.key for one in again) == sorted(one.key for one in failed)
    assert {one.status for one in again} == {"done"}
    assert histories(store) == histories(whole[1])
    assert [row.failed for row in status(plan, store)] == [0, 0]


def test_an_interruption_leaves_no_staging_and_the_same_command_resumes(whole, tmp_path):
    """Ctrl-C in the second pack, as its first epoch is reported."""
    plan, store = whole[0], Store(tmp_path / "store")
    reports = iter(range(EPOCHS + 1))  # of the first pack: its epochs and its end

    def interrupted(progress) -> None:
        if next(reports, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan, store, executor="serial", on_progress=interrupted)
    gc.collect()
    assert staging_of(store) == []
    assert len(list(store.root.glob("members/*/*"))) == 2
    assert len(run(plan, store, executor="serial")) == 2
    assert histories(store) == histories(whole[1])


@pytest.mark.parametrize("name", HISTORIES)
def test_a_disk_that_fills_while_a_history_is_published_leaves_no_member(name, whole, tmp_path, monkeypatch):
    plan, store = whole[0], Store(tmp_path / "store")
    really = publishing.copy_new

    def limited(source, target, **options):
        if target.name == name:
            target.write_bytes(source.read_bytes()[:100])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        really(source, target, **options)

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "copy_new", limited)
        outcomes = run(plan, store, executor="serial")
    assert {one.status for one in outcomes} == {"failed"}
    for one in outcomes:
        assert "No space left on device" in one.reason
        assert str(store.root) in one.reason
        assert "--store" in one.reason
    assert list(store.root.glob("members/*/*")) == []
    assert staging_of(store) == []
    run(plan, store, executor="serial")
    assert histories(store) == histories(whole[1])


def test_every_file_of_a_member_is_synced_before_it_can_be_seen(whole, tmp_path, monkeypatch):
    """Else a power cut leaves a published member with an empty history."""
    plan, store = whole[0], Store(tmp_path / "store")
    synced, published = set(), []
    fsync, rename = os.fsync, os.rename

    def noted(handle):
        synced.add(os.fstat(handle).st_ino)
        return fsync(handle)

    def looked_at(source, target):
        inodes = {path.name: path.stat().st_ino for path in source.iterdir()}
        assert set(inodes.values()) <= synced, inodes
        assert source.stat().st_ino in synced
        published.append(set(inodes))
        return rename(source, target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(os, "rename", looked_at)
    run(plan, store, executor="serial")
    assert len(published) == 4
    assert all(set(HISTORIES) <= names for names in published)


@pytest.mark.parametrize("curvature", [0, 1])
@pytest.mark.parametrize("rate", ["1e9", "1e20"])
def test_a_member_that_diverges_is_published_with_the_history_it_has(rate, curvature, tmp_path):
    """Diverged or not, it is a result: never one that fails again and again."""
    plan = planned(
        ("learning_rate = 0.05, weight_decay = 1e-3", f"learning_rate = {rate}, weight_decay = 1.0"),
        ("steps = 2\ntest_size = 10000", f"steps = 1\ncurvature = {curvature}\ncurvature_size = 20"),
    )
    store = Store(tmp_path / "store")
    outcomes = {one.key: one for one in run(plan, store, executor="serial")}
    assert staging_of(store) == []
    for key in keys_of(plan, "bn"):
        assert outcomes[key].status != "failed", outcomes[key].reason
        member = store.read(key).member
        epochs, steps = store.history(key, "epochs"), store.history(key, "steps")
        assert 1 <= len(epochs) <= EPOCHS
        if member.status == "diverged":
            first = int(np.flatnonzero(~np.isfinite(steps["train_loss"]))[0])
            assert first == member.diverged_at
    for key in keys_of(plan, "sphere"):
        assert outcomes[key].status == "done"


def test_status_of_a_recorded_study(mine, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    plan, store = mine
    (tmp_path / "recorded.toml").write_text(RECORDED)
    ask = ["status", str(tmp_path / "recorded.toml"), "--store", str(store.root)]
    assert main(ask) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.splitlines()[-1] == "0 of 4 members to train; time left: none."
    for arm in ARMS:
        line = next(line.split() for line in said.out.splitlines() if line.split()[:1] == [arm])
        assert line[1:3] == ["convnet", "2"]
        assert line[3:7] == ["2", "2", "0", "0"]

    flip(folder_of(store, keys_of(plan, "bn")[0]) / "member.json", 0.3)  # all that `status` reads of it
    assert main(ask) == 2
    assert "is damaged" in capsys.readouterr().err
    assert main(ask) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("1 of 4 members to train")


# Two arms from a study to its report.

SPLITS = """
name = "beside"
description = "two ways to train at two budgets"
family = "convnet"
dataset = "digits"
train_size = 100
budgets = [3769, 6534]
members = [1, 2]
tolerance = 0.2
replicates = 2
pool = 2
stepping = { pack = 4 }

[recipe]
epochs = 2
batch_size = 32
crop_padding = 1
"""
TWO = """
[[arms]]
name = "bn_wd"

[[arms]]
name = "sphere"
mode = "sphere"
recipe = { effective_learning_rate = 1e-2, weight_decay = 0.0, momentum = 0.0 }
"""
WIDTHS = {(3769, 1): 3, (3769, 2): 2, (6534, 1): 4, (6534, 2): 3}
POOLS = {2: 4, 3: 4, 4: 2}  # members of each width, of each arm
MODES = ("bn_wd", "sphere")
TABLES = ("memory_split", "members", "scores", "plane", "power_laws")


def parameters(width: int) -> int:
    """Counted by hand: four convolutions, their batch norms, the last layer; 1 channel, 10 classes."""
    k = width
    convolutions = 9 * (k + k * 2 * k + 2 * k * 4 * k + 4 * k * 8 * k)
    return convolutions + 2 * (k + 2 * k + 4 * k + 8 * k) + (8 * k * 10 + 10)


class Reported(NamedTuple):
    """A study, its store, what `run` and `report` said, and the report's folder."""

    study: Path
    store: Path
    run: tuple[int, str, str]
    report: tuple[int, str, str]
    out: Path


def reported(text: str, folder: Path, store: Path, capture) -> Reported:
    folder.mkdir(exist_ok=True)
    study, out, said = folder / "study.toml", folder / "report", []
    study.write_text(text)
    for verb in (["run", "--executor", "serial"], ["report", "--out", str(out)]):
        code = main([verb[0], str(study), "--store", str(store), *verb[1:]])
        said.append((code, *capture.readouterr()))
    return Reported(study, store, *said, out)


class Capture:
    """`capsys` for a fixture that outlives a test."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self._renew()

    def _renew(self) -> None:
        self._out, self._err = io.StringIO(), io.StringIO()
        self._patch.setattr("sys.stdout", self._out)
        self._patch.setattr("sys.stderr", self._err)

    def readouterr(self) -> tuple[str, str]:
        found = self._out.getvalue(), self._err.getvalue()
        self._renew()
        return found


@pytest.fixture(scope="module")
def both(tmp_path_factory, cache) -> Reported:
    folder = tmp_path_factory.mktemp("both")
    with pytest.MonkeyPatch.context() as patch:
        return reported(SPLITS + TWO, folder, folder / "store", Capture(patch))


@pytest.fixture(scope="module")
def one_arm(both, tmp_path_factory) -> Reported:
    """The same study without arms, in the same store."""
    with pytest.MonkeyPatch.context() as patch:
        return reported(SPLITS, tmp_path_factory.mktemp("one"), both.store, Capture(patch))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_both_arms_are_trained_and_reported(both):
    assert both.run[:2] == (0, ""), both.run
    assert f"beside: {2 * sum(POOLS.values())} members" in both.run[2]
    assert (both.report[0], both.report[2]) == (0, ""), both.report
    for name in TABLES:
        assert len(rows(both.out / f"{name}.csv")) > 0


def test_arms_stand_side_by_side_at_each_budget(both):
    table = rows(both.out / "memory_split.csv")
    assert "arm" in table[0]
    assert [(int(r["budget"]), r["arm"], int(r["members"])) for r in table] == [
        (budget, arm, members) for budget in (3769, 6534) for arm in MODES for members in (1, 2)
    ]
    for row in table:
        budget, members = int(row["budget"]), int(row["members"])
        width = WIDTHS[budget, members]
        assert int(row["width"]) == width
        assert int(row["parameters_total"]) == members * parameters(width)
        assert float(row["error_percent"]) == pytest.approx(100 * (members * parameters(width) / budget - 1))
        assert int(row["groups"]) == POOLS[width] // members
        assert float(row["cnll_low"]) <= float(row["cnll"]) <= float(row["cnll_high"])
        assert (row["difference"] == "") == (members == 1)
    for budget in (3769, 6534):
        for arm in MODES:  # one is best of its own arm, and is compared with its own wide network
            own = [r for r in table if (int(r["budget"]), r["arm"]) == (budget, arm)]
            assert [r["best"] for r in own].count("best") == 1
            assert sum(float(r["frequency_best"]) for r in own) == pytest.approx(1)
            difference = float(own[1]["cnll"]) - float(own[0]["cnll"])
            assert float(own[1]["difference"]) == pytest.approx(difference, abs=1e-12)


def test_every_split_is_scored_on_the_members_of_its_own_arm(both):
    """By SciPy, from the store, found by mode and width and not by the plan's own look-up."""
    store = Store(both.store)
    plan = store.saved_plan(studies.load_study(both.study))
    for row in rows(both.out / "memory_split.csv"):
        members, width, mode = int(row["members"]), int(row["width"]), row["arm"]
        pool = [store.read(r.key) for r in plan.runs if (r.cell.mode, r.cell.width) == (mode, width)]
        assert len(pool) == POOLS[width]
        labels = pool[0].test_labels
        groups = [pool[first : first + members] for first in range(0, len(pool), members)]
        scored = []
        for group in groups:
            each = log_softmax(np.stack([one.test_logits for one in group]).astype(np.float64), -1)
            average = logsumexp(each, 0) - np.log(members)
            scored.append(
                (-average[np.arange(len(labels)), labels].mean(), (average.argmax(-1) == labels).mean())
            )
        nll, accuracy = np.mean(scored, axis=0)
        assert float(row["nll"]) == pytest.approx(nll, abs=1e-6)
        assert float(row["accuracy"]) == pytest.approx(accuracy, abs=1e-9)


def test_every_table_carries_the_arm(both):
    table = rows(both.out / "members.csv")
    assert {row["arm"] for row in table} == set(MODES)
    assert all(row["mode"] == row["arm"] for row in table)
    for arm in MODES:
        own = [int(row["width"]) for row in table if row["arm"] == arm]
        assert {width: own.count(width) for width in own} == POOLS
    assert len({row["key"] for row in table}) == len(table) == 20

    ensembles = {(arm, w, n, i) for arm in MODES for w, pool in POOLS.items()
                 for n in range(1, pool + 1) for i in range(pool // n)}  # fmt: skip
    table = rows(both.out / "scores.csv")
    found = [(r["arm"], int(r["width"]), int(r["members"]), int(r["replicate"])) for r in table]
    assert sorted(found) == sorted(ensembles)
    cells = {(row["cell"], row["arm"], row["width"]) for row in table}
    assert len(cells) == len({cell for cell, _, _ in cells}) == 6

    table = rows(both.out / "plane.csv")
    found = [(r["arm"], int(r["width"]), int(r["members"])) for r in table]
    assert sorted(found) == sorted({(arm, w, n) for arm, w, n, _ in ensembles})
    for row in table:
        assert int(row["parameters"]) == parameters(int(row["width"]))

    table = rows(both.out / "power_laws.csv")
    laws = [("members", f"width {w}") for w in POOLS] + [("width", "n 1"), ("width", "n 2")]
    laws += [("budget", "best n")]
    assert sorted((r["arm"], r["along"], r["at"]) for r in table) == sorted(
        (arm, along, at) for arm in MODES for along, at in laws
    )
    assert {int(r["points"]) for r in table if r["along"] == "budget"} == {2}


def test_the_plane_has_the_members_means_of_each_arm(both):
    members = rows(both.out / "members.csv")
    for row in rows(both.out / "plane.csv"):
        if row["members"] == "1":
            own = [m for m in members if (m["arm"], m["width"]) == (row["arm"], row["width"])]
            for metric in ("accuracy", "nll", "cnll"):
                mean = np.mean([float(m[metric]) for m in own])
                assert float(row[metric]) == pytest.approx(mean, abs=1e-9)


@pytest.mark.parametrize("name", ["memory_split", "power_laws", "plane"])
def test_the_figures_of_two_arms_are_there(name, both):
    svg, png = (both.out / f"{name}.{kind}" for kind in ("svg", "png"))
    assert svg.read_text().lstrip().startswith("<?xml")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert min(svg.stat().st_size, png.stat().st_size) > 5000


@pytest.mark.parametrize("kind", ["md", "tex", "html"])
@pytest.mark.parametrize("name", ["memory_split", "power_laws"])
def test_the_readable_tables_name_the_arms(name, kind, both):
    text = (both.out / f"{name}.{kind}").read_text()
    for arm in MODES:
        written = arm.replace("_", r"\_") if kind == "tex" else arm
        assert text.count(written) >= 4, (arm, text)


def test_a_verdict_is_told_for_each_arm_and_budget(both):
    for arm in MODES:
        for budget in ("3,769", "6,534"):
            assert f"{arm}: at {budget} parameters the lowest CNLL is that of n = " in both.report[1]
    assert both.report[1].count("the lowest CNLL is") == 4


def test_no_note_says_that_two_modes_are_one(both):
    """A table of two arms that calls itself "mode bn_wd" is wrong about half its rows."""
    notes = json.loads((both.out / "manifest.json").read_text())["notes"]["memory_split"]
    told = next(note for note in notes if "training and" in note)
    assert "mode bn_wd" not in told or "sphere" in told, told


def test_the_manifest_says_which_arm_a_cell_is_of(both):
    manifest = json.loads((both.out / "manifest.json").read_text())
    cells = manifest["cells"]
    assert [(c["arm"], c["cell"]["mode"], c["cell"]["width"], c["done"]) for c in cells] == [
        (arm, arm, width, count) for arm in MODES for width, count in POOLS.items()
    ]
    assert [arm["name"] for arm in manifest["study"]["arms"]] == list(MODES)


def test_status_of_two_arms_has_a_row_for_each_pool(both, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["status", str(both.study), "--store", str(both.store)]) == 0
    said = capsys.readouterr().out
    lines = [line.split() for line in said.splitlines() if line.split()[1:2] == ["convnet"]]
    assert [(line[0], int(line[2]), *line[3:7]) for line in lines] == [
        (arm, width, str(count), str(count), "0", "0") for arm in MODES for width, count in POOLS.items()
    ]
    assert said.splitlines()[-1] == "0 of 20 members to train; time left: none."


def test_results_know_their_arms(both):
    plan = plan_study(studies.load_study(both.study))
    results = evaluate(plan, Store(both.store))
    assert [setting.arm for setting in plan.settings] == list(MODES)
    assert not results.partial
    for split in plan.splits:
        pool = results.pool_of(split)
        assert (pool.planned.arm, pool.planned.cell.width) == (split.arm, split.width)
        assert pool.planned.cell.mode == split.arm
        assert {one.member.run.cell.mode for one in pool.stored} == {split.arm}


def test_costs_are_joined_to_the_splits_of_their_arm(both, tmp_path):
    place = {(arm, b, n): 10 * b + n + len(arm) for arm in MODES for b, n in WIDTHS}
    lines = ["arm,budget,members,train_step_ms", *(f"{a},{b},{n},{v}" for (a, b, n), v in place.items())]
    (tmp_path / "costs.csv").write_text("\n".join(lines) + "\n")
    results = evaluate(plan_study(studies.load_study(both.study)), Store(both.store))
    for row in memory_split.table.rows(analyse(results, read_costs(str(tmp_path / "costs.csv")))):
        arm, budget, members = row["arm"], row["budget"], row["members"]
        assert row["train_step_ms"] == place[arm, budget, members]
        assert row["train_step_ratio"] == place[arm, budget, members] / place[arm, budget, 1]


def test_an_arm_serves_the_same_study_without_arms(one_arm):
    """Its cells have the keys that they have without a name, so nothing is trained."""
    assert one_arm.run[0] == 0, one_arm.run
    assert "beside: nothing" in one_arm.run[2]
    assert (one_arm.report[0], one_arm.report[2]) == (0, ""), one_arm.report


def test_no_table_of_a_study_with_one_way_has_a_column_of_arms(one_arm):
    tables = sorted(one_arm.out.glob("*.csv"))
    assert {f"{name}.csv" for name in TABLES} <= {path.name for path in tables}
    for path in tables:
        with path.open(newline="") as file:
            header = next(csv.reader(file))
        assert "arm" not in header, path.name
    for kind in ("md", "tex", "html"):
        assert "bn_wd: at" not in (one_arm.out / f"memory_split.{kind}").read_text()
    assert not any("arm" in cell for cell in json.loads((one_arm.out / "manifest.json").read_text())["cells"])


def test_an_arms_numbers_are_those_of_the_study_without_arms(both, one_arm):
    mine = [row for row in rows(both.out / "memory_split.csv") if row["arm"] == "bn_wd"]
    alone = rows(one_arm.out / "memory_split.csv")
    for one, other in zip(mine, alone, strict=True):
        for name in ("budget", "members", "width", "accuracy", "nll", "cnll", "temperature", "brier", "ece"):
            assert one[name] == other[name], name
    assert set(mine[0]) - set(alone[0]) == {"arm"}
    # By the same rule as ever: place and order of the columns are those of the layout.
    assert [n for n in memory_split.table.names if n in alone[0]] == list(alone[0])
