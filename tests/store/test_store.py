"""The store keeps what was published, whole or not at all, and says when it does not."""

import ast
import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ensembudget.store
from ensembudget.errors import StoreError
from ensembudget.planning.plan import plan
from ensembudget.records import Environment, Run, Task
from ensembudget.store import Store
from ensembudget.studies import load_study
from ensembudget.training.loop import Trained
from helpers import CELL

HERE = Environment(ensembudget="0.1.0", torch="2.14", device="cpu", threads=1, pack=2)
LABELS = np.arange(5) % 3, np.arange(7) % 3
FILES = ("member.json", "logits.safetensors", "weights.safetensors")


def trained(seed=0, *, fill=0.0, diverged_at=None, weights=True):
    rng = np.random.default_rng(seed)
    return Trained(
        run=Run(cell=CELL, seed=seed),
        diverged_at=diverged_at,
        train_loss=rng.normal(size=3).astype(np.float32),
        validation_logits=rng.normal(size=(5, 3)).astype(np.float32) + np.float32(fill),
        test_logits=rng.normal(size=(7, 3)).astype(np.float32),
        weights={"head.weight": rng.normal(size=(3, 2)).astype(np.float32)} if weights else None,
        parameters=6,
        seconds=1.25,
    )


def publish(store, one):
    assert store.publish(one, LABELS, HERE)
    return one.run.key


def folder_of(store, key):
    return store.root / "members" / key[:2] / key


def everything(store):
    """All members that can be seen, by whoever looks at the folder."""
    return sorted(p.name for p in store.root.glob("members/*/*"))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def key(store):
    return publish(store, trained())


def assert_quarantined(store, key):
    with pytest.raises(StoreError, match="is damaged") as caught:
        store.read(key)
    assert key in str(caught.value)
    assert str(store.root) in str(caught.value)
    assert key not in store
    (kept,) = (store.root / "quarantine").glob(f"{key}-*")
    assert str(kept) in str(caught.value)
    with pytest.raises(StoreError, match="has no member"):
        store.read(key)


# Round trips.


@pytest.mark.parametrize("diverged_at", [None, 0, 17])
@pytest.mark.parametrize("weights", [True, False])
def test_what_is_read_is_what_was_published(store, diverged_at, weights):
    one = trained(diverged_at=diverged_at, weights=weights)
    if diverged_at is not None:
        one.test_logits[2] = np.nan
    key = publish(store, one)
    found = Store(store.root).read(key)
    assert found.member.run == one.run
    assert found.member.status == ("done" if diverged_at is None else "diverged")
    assert found.member.diverged_at == diverged_at
    assert (found.member.parameters, found.member.seconds, found.member.environment) == (6, 1.25, HERE)
    for mine, theirs in (
        (found.validation_logits, one.validation_logits),
        (found.test_logits, one.test_logits),
        (found.train_loss, one.train_loss),
        (found.validation_labels, LABELS[0]),
        (found.test_labels, LABELS[1]),
    ):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)
    assert (folder_of(store, key) / "weights.safetensors").exists() == weights


def test_arrays_that_are_not_contiguous_are_kept_as_they_look(store):
    one = trained()
    turned = np.asfortranarray(one.test_logits)
    key = publish(store, Trained(**{**vars(one), "test_logits": turned}))
    np.testing.assert_array_equal(store.read(key).test_logits, one.test_logits)


def test_a_member_is_there_after_it_was_published(store):
    one = trained()
    assert one.run.key not in store
    with pytest.raises(StoreError, match="has no member"):
        store.read(one.run.key)
    publish(store, one)
    assert one.run.key in store
    assert everything(store) == [one.run.key]
    assert not list((store.root / "tmp").iterdir())


def test_of_two_that_trained_the_same_member_the_first_wins(store, key):
    before = store.read(key)
    elsewhere = HERE.model_copy(update={"threads": 2})
    assert store.publish(trained(fill=5.0), LABELS, elsewhere) is False
    after = store.read(key)
    assert after.digest == before.digest
    np.testing.assert_array_equal(after.validation_logits, before.validation_logits)
    assert not list((store.root / "tmp").iterdir())


def test_the_digest_is_of_what_was_published(tmp_path):
    digests = []
    for name, fill in (("a", 0.0), ("b", 0.0), ("c", 1.0)):
        store = Store(tmp_path / name)
        digests.append(store.read(publish(store, trained(fill=fill))).digest)
    assert digests[0] == digests[1] != digests[2]


def test_a_quarantined_member_can_be_published_anew(store, key):
    (folder_of(store, key) / "logits.safetensors").write_bytes(b"")
    assert_quarantined(store, key)
    publish(store, trained())
    np.testing.assert_array_equal(store.read(key).test_logits, trained().test_logits)


def test_quarantine_never_overwrites(store, key):
    for _ in range(3):
        (folder_of(store, key) / "logits.safetensors").write_bytes(b"")
        with pytest.raises(StoreError, match="damaged"):
            store.read(key)
        publish(store, trained())
    assert len(list((store.root / "quarantine").iterdir())) == 3


# Damage.


def xor(path, position, mask):
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= mask
    path.write_bytes(content)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("where", [i / 12 for i in range(12)] + [0.9999])
def test_a_changed_byte_is_found(store, key, name, where):
    path = folder_of(store, key) / name
    xor(path, int(where * path.stat().st_size), 0xFF)
    assert_quarantined(store, key)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FILES), position=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_changed_bit_is_found_or_changes_nothing(tmp_path, name, position, bit):
    store = Store(tmp_path / f"{name}-{position}-{bit}")
    key = trained().run.key
    store.publish(trained(), LABELS, HERE)
    before = store.read(key)
    path = folder_of(store, key) / name
    xor(path, position, 1 << bit)
    try:
        after = store.read(key)
    except StoreError as error:
        assert "is damaged" in str(error)  # noqa: PT017
        assert key not in store
    else:
        # JSON says the same in several ways (1e-4, 1E-4); only that may pass.
        assert name == "member.json"
        assert after.member == before.member
        assert after.digest == before.digest


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_found(store, key, name, kept):
    path = folder_of(store, key) / name
    os.truncate(path, int(kept * path.stat().st_size))
    assert_quarantined(store, key)


@pytest.mark.parametrize("name", FILES)
def test_a_longer_file_is_found(store, key, name):
    with (folder_of(store, key) / name).open("ab") as file:
        file.write(b"x")
    assert_quarantined(store, key)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_zeros_is_found(store, key, name):
    path = folder_of(store, key) / name
    path.write_bytes(bytes(path.stat().st_size))
    assert_quarantined(store, key)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_found(store, key, name):
    (folder_of(store, key) / name).unlink()
    assert_quarantined(store, key)


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "weights.safetensors.bak"])
def test_an_extra_file_is_found(store, key, name):
    (folder_of(store, key) / name).write_text("hello")
    assert_quarantined(store, key)


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_a_files_place_is_found(store, key, name):
    path = folder_of(store, key) / name
    path.unlink()
    path.mkdir()
    assert_quarantined(store, key)


def test_white_space_in_a_description_is_a_changed_byte_too(store, key):
    path = folder_of(store, key) / "member.json"
    path.write_text(path.read_text().replace(": ", ":\t", 1))
    assert_quarantined(store, key)


@pytest.mark.parametrize("content", ["null", "0", '"text"', "[]", "{}", "[1, 2]", '{"sha256": "x"}'])
def test_a_description_that_is_other_json_is_found(store, key, content):
    (folder_of(store, key) / "member.json").write_text(content)
    assert_quarantined(store, key)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"seconds": 1.25', '"seconds": 9.25'),
        ('"status": "done"', '"status": "diverged"'),
        ('"pack": 2', '"pack": 3'),
    ],
)
def test_a_description_that_says_something_else_is_found(store, key, old, new):
    path = folder_of(store, key) / "member.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert_quarantined(store, key)


@pytest.mark.parametrize("name", FILES[1:])
def test_another_members_file_is_found(store, key, name):
    other = publish(store, trained(1))
    (folder_of(store, key) / name).write_bytes((folder_of(store, other) / name).read_bytes())
    assert_quarantined(store, key)
    assert store.read(other).member.run.seed == 1


def test_two_members_in_each_others_place_are_found(store, key):
    other = publish(store, trained(1))
    spare = store.root / "spare"
    folder_of(store, key).rename(spare)
    folder_of(store, other).rename(folder_of(store, key))
    spare.rename(folder_of(store, other))
    assert_quarantined(store, key)
    assert_quarantined(store, other)


def test_damage_to_one_member_leaves_the_others(store, key):
    others = [publish(store, trained(seed)) for seed in range(1, 5)]
    (folder_of(store, key) / "logits.safetensors").unlink()
    assert_quarantined(store, key)
    assert [store.read(other).member.run.seed for other in others] == [1, 2, 3, 4]


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENOMEM, errno.EACCES], ids=errno.errorcode.get)
def test_a_member_that_cannot_be_read_just_now_is_not_taken_for_damaged(store, key, monkeypatch, code):
    def refuse(self):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        with pytest.raises(StoreError, match=os.strerror(code)):
            store.read(key)
    assert key in store
    assert store.read(key).member.run.seed == 0


def test_of_many_that_publish_at_once_one_wins(store):
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda _: Store(store.root).publish(trained(), LABELS, HERE), range(8)))
    assert sorted(won) == [False] * 7 + [True]
    assert store.read(trained().run.key)
    assert not list((store.root / "tmp").iterdir())


# What is not a store.


def test_a_newer_format_is_refused_with_both_numbers(store):
    publish(store, trained())
    (store.root / "store.json").write_text('{"format": 2}')
    with pytest.raises(StoreError, match="has format 2; this version reads up to 1"):
        Store(store.root)


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", "text", '{"version": 1}', "\x00\x00"])
def test_a_header_of_something_else_is_refused(tmp_path, content):
    (tmp_path / "store.json").write_text(content)
    with pytest.raises(StoreError, match="is not a store's header"):
        Store(tmp_path)


@pytest.mark.parametrize("written", ['"1"', "true", "0", "-1", "1.0", "null"])
def test_a_format_that_is_no_format_is_refused(tmp_path, written):
    (tmp_path / "store.json").write_text(f'{{"format": {written}}}')
    with pytest.raises(StoreError):
        Store(tmp_path)


def test_opening_a_store_twice_keeps_it(store, key):
    assert key in Store(str(store.root))


@pytest.mark.parametrize("key", ["", "abc", "g" * 64, "A" * 64, "../" + "0" * 61, "0" * 65])
def test_a_key_that_is_none_is_refused(store, key):
    with pytest.raises(StoreError, match="not a member's key"):
        store.read(key)


# Disks and crashes.


class Crash(BaseException):
    """Nothing catches it, as nothing catches a power cut."""


def test_a_crash_before_the_rename_leaves_nothing_to_be_seen(store, monkeypatch):
    def crash(source, target):
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", crash)
        with pytest.raises(Crash):
            store.publish(trained(), LABELS, HERE)
    assert everything(store) == []
    assert trained().run.key not in Store(store.root)
    publish(store, trained())


def limit_writes(patch, name, room):
    """Files of this name take `room` bytes each, a few at a time, and then no more."""
    opened, wrote, left = os.open, os.write, {}

    def opens(path, *arguments):
        handle = opened(path, *arguments)
        if Path(path).name == name:
            left[handle] = room
        return handle

    def writes(handle, content):
        if handle not in left:
            return wrote(handle, content)
        if not left[handle]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = min(left[handle], 50, len(content))
        left[handle] -= taken
        return wrote(handle, content[:taken])

    patch.setattr(os, "open", opens)
    patch.setattr(os, "write", writes)


@pytest.mark.parametrize("room", [0, 1, 80])
@pytest.mark.parametrize("name", FILES)
def test_a_full_disk_is_told_and_leaves_no_member(store, key, monkeypatch, name, room):
    with monkeypatch.context() as patch:
        limit_writes(patch, name, room)
        with pytest.raises(StoreError, match="No space left on device") as caught:
            store.publish(trained(1), LABELS, HERE)
    assert "--store" in str(caught.value)
    assert everything(store) == [key]
    assert not list((store.root / "tmp").iterdir())
    assert store.publish(trained(1), LABELS, HERE)


def test_short_writes_are_carried_on(store, monkeypatch):
    with monkeypatch.context() as patch:
        limit_writes(patch, "logits.safetensors", 10**9)
        key = publish(store, trained())
    np.testing.assert_array_equal(store.read(key).test_logits, trained().test_logits)


@pytest.mark.parametrize("failing", ["fsync", "mkdir"])
def test_a_disk_that_refuses_is_told(store, monkeypatch, failing):
    def refuse(*args, **kwargs):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, refuse)
        with pytest.raises(StoreError, match="Input/output error"):
            store.publish(trained(), LABELS, HERE)
    assert everything(store) == []


def test_a_place_below_a_file_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for place in (file / "store", file / "a" / "b", file):
        with pytest.raises(StoreError, match="cannot be written"):
            Store(place).publish(trained(), LABELS, HERE)
    assert file.read_text() == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="Permission denied"):
        Store(tmp_path / "store").publish(trained(), LABELS, HERE)


def test_asking_makes_no_store(store):
    assert trained().run.key not in store
    assert store.failure(trained().run.key) is None
    with pytest.raises(StoreError, match="has no member"):
        store.read(trained().run.key)
    assert not store.root.exists()


def test_the_store_reads_and_writes_no_pickles():
    source = "".join(path.read_text() for path in Path(ensembudget.store.__file__).parent.glob("*.py"))
    tree = ast.parse(source)
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
    }
    assert not imported & {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "torch"}
    calls = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    assert "allow_pickle" not in source
    assert not calls & {"loadz", "load_pickle"}


# What lies beside the members.


def test_a_failure_is_remembered_until_the_run_succeeds(store):
    one = trained()
    assert store.failure(one.run.key) is None
    store.record_failure(one.run.key, "first")
    store.record_failure(one.run.key, "out of memory: 3 “GiB”")
    assert Store(store.root).failure(one.run.key) == "out of memory: 3 “GiB”"
    assert one.run.key not in store
    publish(store, one)
    assert store.failure(one.run.key) is None


@pytest.mark.parametrize("content", ["", "{", "null", "{}"])
def test_a_damaged_failure_does_not_stop_anybody(store, content):
    one = trained()
    store.record_failure(one.run.key, "reason")
    (store.root / "failures" / f"{one.run.key}.json").write_text(content)
    store.failure(one.run.key)


def test_a_plan_is_found_for_exactly_its_study(store):
    study = load_study("digits").model_copy(update={"tolerance": 0.9})
    made = plan(study, Task(10, 1, 8), digest="0" * 64, dataset="digits", train_samples=1000)
    assert store.saved_plan(study) is None
    store.save_plan(made)
    store.save_plan(made)
    assert Store(store.root).saved_plan(study) == made
    assert store.saved_plan(study.model_copy(update={"pool": 99})) is None


def test_the_first_member_makes_the_header(store, key):
    assert json.loads((store.root / "store.json").read_text()) == {"format": 1}
