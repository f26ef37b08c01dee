"""Checkpoints in a store: found whole or not at all, the earlier dropped last, gone with their pack."""

import errno
import os

import numpy as np
import pytest

from ensembudget.records import Run
from ensembudget.store import Store, checkpoints, publishing
from ensembudget.store.documents import seal, unseal
from ensembudget.store.garbage import garbage
from ensembudget.store.inventory import usages
from ensembudget.training.checkpoints import Checkpoint
from helpers import CELL, HERE, publish, trained_as

RUNS = [Run(cell=CELL, seed=seed) for seed in (0, 1)]
LABELS = np.zeros(3, np.int64)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def of(store, *, environment=HERE, runs=RUNS, processor="AVX2", keep_weights=False):
    return store.checkpoints(runs, environment, processor, keep_weights=keep_weights)


def after(epoch: int) -> Checkpoint:
    return Checkpoint(epoch, {"seconds": 1.5, "layouts": []}, b"tensors of epoch %d" % epoch)


def found(store, **how):
    return list(of(store, **how).found())


def folders(store):
    return sorted((store.root / "checkpoints").iterdir())


def test_a_checkpoint_comes_back_as_it_was_kept(store):
    of(store).keep(after(3))
    assert found(store) == [after(3)]


def test_only_the_newest_stays(store):
    for epoch in (9, 10, 11):
        of(store).keep(after(epoch))
    assert found(store) == [after(11)]
    assert len(folders(store)) == 1
    assert list((store.root / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    "other",
    [
        {"environment": HERE.model_copy(update={"threads": 2})},
        {"environment": HERE.model_copy(update={"torch": "1"})},
        {"environment": HERE.model_copy(update={"device": "cuda"})},
        {"environment": HERE.model_copy(update={"layout": "contiguous"})},
        {"environment": HERE.model_copy(update={"ensembudget": "1"})},
        {"processor": "AVX512"},
        {"runs": RUNS[:1]},
        {"runs": RUNS[::-1]},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_environment_and_another_pack_do_not_go_on_from_it(store, other):
    of(store).keep(after(3))
    assert found(store, **other) == []
    assert found(store) == [after(3)]


def test_a_pack_whose_weights_are_wanted_goes_on_from_it(store):
    of(store).keep(after(3))
    assert found(store, keep_weights=True) == [after(3)]


def test_the_earlier_one_is_there_until_the_new_one_is_durable(store, monkeypatch):
    of(store).keep(after(1))
    really, seen = publishing.publish_folder, []

    def watched(paths, folder, files):
        seen.append(found(store))
        published = really(paths, folder, files)
        seen.append(found(store))
        return published

    monkeypatch.setattr(publishing, "publish_folder", watched)
    of(store).keep(after(2))
    assert seen == [[after(1)], [after(2), after(1)]]


def test_a_disk_that_is_full_keeps_the_earlier_one_and_is_told(store, monkeypatch):
    of(store).keep(after(1))

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    pack = of(store)
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "publish_folder", full)
        pack.keep(after(2))
        pack.keep(after(2))
    (note,) = pack.notes
    assert "No space left" in note
    assert found(store) == [after(1)]


def damaged(name, change):
    def damage(folder):
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return damage


def changed_body(**fields):
    """A document of its own digest that says something else."""
    return damaged("checkpoint.json", lambda raw: seal({**unseal(raw), **fields}))


DAMAGE = {
    "a bit of the tensors": damaged("tensors.safetensors", lambda raw: bytes([raw[0] ^ 1]) + raw[1:]),
    "tensors cut short": damaged("tensors.safetensors", lambda raw: raw[:-1]),
    "no tensors": lambda folder: (folder / "tensors.safetensors").unlink(),
    "a bit of the document": damaged("checkpoint.json", lambda raw: raw.replace(b"1.5", b"1.6")),
    "an empty document": damaged("checkpoint.json", lambda raw: b""),
    "a file too many": lambda folder: (folder / "more").write_bytes(b""),
    "another epoch": changed_body(epoch=2),
    "a newer format": changed_body(format=99),
    "no pack": changed_body(pack=None),
    "no facts": changed_body(facts=None),
    "no files": changed_body(files=None),
    "another pack": changed_body(pack={"key": "0" * 64, "members": [], "weights": False}),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=list(DAMAGE))
def test_what_is_damaged_foreign_or_newer_is_set_aside_and_told_and_an_earlier_one_serves(store, damage):
    of(store).keep(after(5))
    (folder,) = folders(store)
    damage(folder)
    earlier = Checkpoint(4, {"seconds": 1.0}, b"earlier")
    of(store).keep(earlier)
    pack = of(store)
    assert list(pack.found()) == [earlier]
    (note,) = pack.notes
    assert str(folder) in note
    assert [path.name.startswith(folder.name) for path in (store.root / "quarantine").iterdir()] == [True]
    assert len(folders(store)) == 1


def test_a_checkpoint_without_its_document_is_told(store):
    of(store).keep(after(5))
    (folder,) = folders(store)
    (folder / "checkpoint.json").unlink()
    pack = of(store)
    assert list(pack.found()) == []
    assert len(pack.notes) == 1


def test_other_things_beside_checkpoints_are_left_alone(store):
    of(store).keep(after(5))
    (folder,) = folders(store)
    for name in ("notes.txt", f"{folder.name}x", folder.name.partition("-")[0] + "-", ".hidden"):
        (folder.parent / name).mkdir()
    assert found(store) == [after(5)]
    of(store).remove()
    assert len(folders(store)) == 4
    store.sweep()
    assert len(folders(store)) == 4


# When a pack is published.


def test_removing_leaves_those_of_other_packs(store):
    of(store).keep(after(5))
    of(store, runs=RUNS[:1]).keep(after(6))
    of(store).remove()
    assert found(store) == []
    assert found(store, runs=RUNS[:1]) == [after(6)]


def kinds(store):
    return [one.why for one in garbage(store.root)]


def test_checkpoints_of_a_published_pack_are_garbage_and_swept(store):
    of(store).keep(after(5))
    publish(store, trained_as(RUNS[0], np.ones((3, 2), np.float32)), LABELS)
    store.sweep()
    assert (kinds(store), found(store)) == ([], [after(5)])  # one member is missing
    publish(store, trained_as(RUNS[1], np.ones((3, 2), np.float32)), LABELS)
    assert kinds(store) == ["a checkpoint of members that are there now"]
    store.sweep()
    assert folders(store) == []


def test_checkpoints_of_a_pack_that_is_trained_again_for_its_weights_stay(store):
    of(store, keep_weights=True).keep(after(5))
    for run in RUNS:
        publish(store, trained_as(run, np.ones((3, 2), np.float32)), LABELS)
    store.sweep()
    assert (kinds(store), found(store)) == ([], [after(5)])


def test_a_damaged_checkpoint_is_neither_swept_nor_garbage(store):
    of(store).keep(after(5))
    (folder,) = folders(store)
    (folder / checkpoints.DESCRIPTION).write_bytes(b"{}")
    store.sweep()
    assert (kinds(store), folders(store)) == ([], [folder])


def test_they_are_among_what_takes_space(store):
    of(store).keep(after(5))
    (usage,) = [one for one in usages(store.root) if one.kind == "checkpoints"]
    assert usage.files == 2
    assert usage.bytes > len(after(5).tensors)
