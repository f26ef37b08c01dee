"""A member is a set of artefacts; weights may come later, and only those that give the stored logits."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembudget.errors import StoreError
from ensembudget.records import Environment, Recording, Run
from ensembudget.store import Store, wanted
from ensembudget.training.loop import Trained
from helpers import CELL

RUN = Run(cell=CELL, seed=0)
HERE = Environment(ensembudget="0.1.0", torch="2.14", device="cpu", threads=1, pack=2)
LABELS = np.arange(5) % 3, np.arange(7) % 3
LATER = "artefacts/weights/*/*/*"


def trained(*, weights=True, scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    logits = [rng.normal(size=(size, 3)).astype(np.float32) for size in (5, 7)]
    return Trained(
        run=RUN,
        diverged_at=None,
        train_loss=np.ones(3, np.float32),
        validation_logits=logits[0],
        test_logits=logits[1],
        weights={"head.weight": np.full((3, 2), scale, np.float32)} if weights else None,
        parameters=6,
        seconds=1.25,
    )


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def bare(store):
    """A store with the member, without its weights."""
    assert store.publish(trained(weights=False), LABELS, HERE)
    return store


def contents(store):
    return {path: path.read_bytes() for path in sorted(store.root.rglob("*")) if path.is_file()}


def test_what_is_wanted_follows_from_the_study_and_the_cell():
    recorded = CELL.model_copy(update={"record": Recording()})
    assert wanted(CELL, keep_weights=False) == {"logits"}
    assert wanted(CELL, keep_weights=True) == {"logits", "weights"}
    assert wanted(recorded, keep_weights=True) == {"logits", "weights", "history"}


def test_a_member_that_is_not_there_has_nothing_and_lacks_all(store):
    assert store.artefacts(RUN.key) == set()
    assert store.lacks(RUN, keep_weights=True) == {"logits", "weights"}
    assert not store.root.exists()


@pytest.mark.parametrize("weights", [True, False])
def test_a_member_has_what_was_published(store, weights):
    store.publish(trained(weights=weights), LABELS, HERE)
    assert store.artefacts(RUN.key) == ({"logits", "weights"} if weights else {"logits"})
    assert store.lacks(RUN, keep_weights=False) == set()
    assert store.lacks(RUN, keep_weights=True) == (set() if weights else {"weights"})


def test_a_history_of_no_row_is_not_missing(store):
    run = Run(cell=CELL.model_copy(update={"record": Recording(every=9)}), seed=0)
    store.publish(dataclasses.replace(trained(weights=False), run=run), LABELS, HERE)
    assert store.lacks(run, keep_weights=False) == set()


def test_weights_are_read_back(store):
    store.publish(trained(), LABELS, HERE)
    (name, array), *more = store.weights(RUN.key).items()
    assert (name, more) == ("head.weight", [])
    np.testing.assert_array_equal(array, trained().weights["head.weight"])


def test_weights_that_were_not_kept_are_said(bare):
    with pytest.raises(StoreError, match=r"were not kept\. Set keep_weights = true"):
        bare.weights(RUN.key)


def test_weights_of_no_member_are_refused(store):
    with pytest.raises(StoreError, match="has no member"):
        store.weights(RUN.key)


def test_damaged_weights_of_a_member_quarantine_it(store):
    store.publish(trained(), LABELS, HERE)
    (path,) = store.root.glob("members/*/*/weights.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(StoreError, match="is damaged"):
        store.weights(RUN.key)
    assert RUN.key not in store


# Weights that come later.


def test_weights_may_come_later(bare):
    before = contents(bare)
    assert bare.publish_weights(trained(), HERE)
    assert bare.artefacts(RUN.key) == {"logits", "weights"}
    np.testing.assert_array_equal(bare.weights(RUN.key)["head.weight"], trained().weights["head.weight"])
    assert {path: content for path, content in contents(bare).items() if path in before} == before
    assert bare.read(RUN.key).digest
    assert not list((bare.root / "tmp").iterdir())


def test_of_two_that_trained_weights_the_first_wins(bare):
    bare.publish_weights(trained(), HERE)
    before = contents(bare)
    assert bare.publish_weights(trained(scale=2.0), HERE) is False
    assert contents(bare) == before


def test_weights_that_a_member_has_are_not_published_again(store):
    store.publish(trained(), LABELS, HERE)
    assert store.publish_weights(trained(scale=2.0), HERE) is False
    assert not list(store.root.glob(LATER))


def test_weights_that_give_other_logits_are_refused_and_nothing_changes(bare):
    before, elsewhere = contents(bare), HERE.model_copy(update={"threads": 4})
    told = r"other logits than those stored \(off by up to .*; threads 1 then, 4 now\)"
    with pytest.raises(StoreError, match=told):
        bare.publish_weights(trained(seed=1), elsewhere)
    assert contents(bare) == before
    assert bare.lacks(RUN, keep_weights=True) == {"weights"}


@settings(max_examples=50, deadline=None)
@given(
    which=st.sampled_from(["validation_logits", "test_logits"]),
    place=st.integers(0, 14),
    bit=st.integers(0, 31),
)
def test_a_single_other_bit_of_a_logit_refuses_weights(tmp_path_factory, which, place, bit):
    store = Store(tmp_path_factory.mktemp("store"))
    store.publish(trained(weights=False), LABELS, HERE)
    other = trained()
    getattr(other, which).view(np.uint32).reshape(-1)[place] ^= np.uint32(1 << bit)
    with pytest.raises(StoreError, match="other logits"):
        store.publish_weights(other, HERE)


def test_a_failure_is_forgotten_when_the_weights_come(bare):
    bare.record_failure(RUN.key, "out of memory")
    bare.publish_weights(trained(), HERE)
    assert bare.failure(RUN.key) is None


@pytest.mark.parametrize("name", ["weights.safetensors", "artefact.json"])
@pytest.mark.parametrize("damage", ["flipped", "missing", "longer"])
def test_damaged_later_weights_are_quarantined_and_their_member_stays(bare, name, damage):
    bare.publish_weights(trained(), HERE)
    (path,) = bare.root.glob(f"artefacts/weights/*/*/{name}")
    if damage == "missing":
        path.unlink()
    else:
        raw = path.read_bytes()
        path.write_bytes(raw + b" " if damage == "longer" else raw[:-3] + b"~" + raw[-2:])
    with pytest.raises(StoreError, match=rf"weights of member {RUN.key} .* damaged"):
        bare.weights(RUN.key)
    assert bare.artefacts(RUN.key) == {"logits"}
    assert bare.read(RUN.key).member.run == RUN
    assert len(list((bare.root / "quarantine").iterdir())) == 1
    assert bare.publish_weights(trained(), HERE)


def test_later_weights_of_other_logits_are_quarantined(bare):
    """As after a damaged member was trained again elsewhere, to other logits."""
    bare.publish_weights(trained(), HERE)
    (path,) = bare.root.glob("members/*/*/logits.safetensors")
    path.write_bytes(b"")
    with pytest.raises(StoreError, match="is damaged"):
        bare.read(RUN.key)
    bare.publish(trained(weights=False, seed=1), LABELS, HERE)
    with pytest.raises(StoreError, match="other logits"):
        bare.weights(RUN.key)
    assert bare.lacks(RUN, keep_weights=True) == {"weights"}
