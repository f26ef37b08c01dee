"""Of two trainings of one member the first stays, and how the second differs is told."""

import pytest
from small_members import ELSEWHERE, HERE, labels, made

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
