"""Of two trainings of one member the first stays, and how the second differs is told."""

import shutil

import numpy as np
import pytest
from small_members import ELSEWHERE, HERE, Made, labels, made

from ensembudget.cli.training import say_outcomes
from ensembudget.errors import ConflictError, StoreError
from ensembudget.executors._base import Outcome
from ensembudget.store import Store, members

GPU = HERE.model_copy(update={"device": "NVIDIA H200"})


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def publish(store, variant, environment=HERE):
    return store.publish(made(0, variant=variant), labels(), environment)


@pytest.mark.parametrize("environment", [HERE, ELSEWHERE, GPU])
def test_an_equal_loser_is_no_fault_and_nothing_differs(store, environment):
    assert publish(store, 0)
    assert not publish(store, 0, environment)
    assert store.difference(made(0), environment) is None


def test_a_loser_with_other_logits_in_the_same_environment_is_a_conflict(store):
    publish(store, 0)
    with pytest.raises(ConflictError, match=r"off by up to [\d.]+; in the same environment"):
        publish(store, 1)
    key = made(0).run.key
    assert store.read(key).test_logits.tobytes() == made(0).test_logits.tobytes()
    assert store.failure(key) is None


@pytest.mark.parametrize(
    ("stored", "now", "told"),
    [(HERE, ELSEWHERE, "threads 1 then, 2 now"), (GPU, GPU, "in the same environment")],
)
def test_where_bytes_are_not_promised_the_difference_is_told_and_the_first_stays(store, stored, now, told):
    publish(store, 0, stored)
    assert not publish(store, 1, now)
    assert told in store.difference(made(0, variant=1), now)
    assert store.read(made(0).run.key).test_logits.tobytes() == made(0).test_logits.tobytes()


def test_a_damaged_winner_is_set_aside_and_said_to_be(store):
    publish(store, 0)
    key = made(0).run.key
    (store.root / "members" / key[:2] / key / "member.json").write_text("{}")
    with pytest.raises(StoreError, match=r"is damaged .* moved to"):
        publish(store, 0)
    assert publish(store, 0)


def test_what_was_trained_anew_after_damage_is_not_set_aside_by_a_slow_reader(store, monkeypatch):
    publish(store, 0)
    key = made(0).run.key
    folder = store.root / "members" / key[:2] / key
    (folder / "logits.safetensors").write_bytes(b"")
    checked = members.checked

    def slowly(folder, key):
        try:
            return checked(folder, key)
        finally:
            monkeypatch.setattr(members, "checked", checked)
            with pytest.raises(StoreError, match="is damaged"):
                store.read(key)
            publish(store, 0)

    monkeypatch.setattr(members, "checked", slowly)
    with pytest.raises(StoreError, match="another process has moved it"):
        store.read(key)
    assert store.read(key).member.run.key == key


def test_conflicts_make_a_run_fail_and_kept_members_are_told(capsys):
    kept = Outcome(key="a", status="kept", reason="member a is there with other logits (off by 1e-6)")
    conflict = Outcome(key="b", status="conflict", reason="member b")
    assert say_outcomes("s", [kept]) == 0
    assert "off by 1e-6" in capsys.readouterr().err
    assert say_outcomes("s", [conflict, Outcome(key="c", status="done")]) == 1
    said = capsys.readouterr().err
    assert "1 members done now; 1 in conflict" in said
    assert "conflict: member b" in said


PACK = """
name = "pack"
description = "one pack of two members"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 70
validation_size = 20
widths = [2]
pool = 2
stepping = { pack = 2 }
recipe = { epochs = 1, batch_size = 32, crop_padding = 0 }
"""


@pytest.mark.parametrize(("threads", "code"), [(1, 1), (2, 0)])
def test_a_member_that_its_pack_gives_otherwise_stays_and_is_told(tmp_path, command, threads, code):
    """A pack is trained whole where one of it is missing. What was there has logits of another training."""
    path, store = tmp_path / "pack.toml", Store(tmp_path / "store")
    path.write_text(PACK)
    run = ("run", path, "--store", store.root, "--executor", "serial", "--threads", 1)
    assert command(*run).code == 0
    first, second = sorted(store.keys(), key=lambda key: store.member(key).run.seed)
    before = store.read(first)
    for key in (first, second):
        shutil.rmtree(store.root / "members" / key[:2] / key)
    logits = before.validation_logits, before.test_logits + np.float32(1)
    other = Made(
        before.member.run, before.train_loss, logits[0], logits[1], parameters=before.member.parameters
    )
    environment = before.member.environment.model_copy(update={"threads": threads})
    store.publish(other, (before.validation_labels, before.test_labels), environment)
    said = command(*run)
    assert said.code == code
    assert "1 members done now" in said.err
    assert "with other logits (off by up to 1" in said.err
    assert ("conflict" in said.err) == bool(code)
    assert store.read(first).test_logits.tobytes() == logits[1].tobytes()
    assert store.read(second).member.run.seed == 1
    assert command(*run).code == 0
