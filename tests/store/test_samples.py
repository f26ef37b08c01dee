"""Members that answer at several positions of a sample: which sample each answer is of, and float16."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, load_file, save

import helpers
from ensembudget.errors import ConflictError
from ensembudget.records import Run
from ensembudget.scoring.ensembles import score_pool
from ensembudget.store import Store
from ensembudget.store.half import MOVED, as_kept, in_half
from ensembudget.store.members import ARRAYS, SAMPLES, files_of

CLASSES = 50


def logits_of(seed, samples=600, spread=2.0):
    rng = np.random.default_rng(seed)
    return (spread * rng.normal(size=(samples, CLASSES))).astype(np.float32)


def labels_of(samples=600):
    return np.random.default_rng(99).integers(CLASSES, size=samples)


def files(seed, samples):
    one = helpers.trained_as(Run(cell=helpers.CELL, seed=seed), logits_of(seed))
    labels = labels_of()
    return files_of(one, (labels[:0], labels), helpers.HERE, samples)


def test_a_member_without_samples_lies_as_it_always_did():
    found = files(0, None)["logits.safetensors"]
    logits, labels = logits_of(0), labels_of()
    whole = (logits[:0], labels[:0], logits, labels, np.ones(1, np.float32))
    assert found == save(dict(zip(ARRAYS, whole, strict=True)))


def test_a_member_with_samples_keeps_them_and_is_read_in_float32(tmp_path):
    store, labels, samples = Store(tmp_path), labels_of(), np.arange(600) // 7
    one = helpers.trained_as(Run(cell=helpers.CELL, seed=0), logits_of(0))
    assert store.publish(one, (labels[:0], labels), helpers.HERE, (samples[:0], samples))
    on_disk = load_file(next(tmp_path.glob("members/*/*/logits.safetensors")))
    assert set(on_disk) == {*ARRAYS, *SAMPLES}
    assert on_disk["test_logits"].dtype == np.float16
    found = store.read(one.run.key)
    assert found.kept_in == "float16"
    assert found.test_logits.dtype == np.float32
    np.testing.assert_array_equal(found.test_samples, samples)
    np.testing.assert_array_equal(found.test_logits, on_disk["test_logits"])
    assert len(found.samples[0]) == 0


def test_training_it_again_finds_no_difference_and_another_training_does(tmp_path):
    store, labels, samples = Store(tmp_path), labels_of(), np.arange(600) // 7
    run, answers = Run(cell=helpers.CELL, seed=0), ((labels[:0], labels), helpers.HERE)
    one, other = (helpers.trained_as(run, logits_of(seed)) for seed in (0, 1))
    assert store.publish(one, *answers, (samples[:0], samples))
    assert not store.publish(one, *answers, (samples[:0], samples))
    assert store.difference(one, helpers.HERE) is None
    with pytest.raises(ConflictError, match="other logits"):
        store.publish(other, *answers, (samples[:0], samples))
    short = helpers.trained_as(run, logits_of(0, samples=500))
    assert "of another shape" in store.difference(short, helpers.HERE)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.1, 1.0, 30.0]), st.sampled_from([0.0, 3e4]))
def test_float16_moves_neither_nll_nor_accuracy_of_any_part_by_a_ten_thousandth(seed, spread, level):
    parts = [(logits_of(seed + i, 40 + i, spread) + np.float32(level), labels_of(40 + i)) for i in (0, 1)]
    for (before, labels), after in zip(parts, as_kept(parts), strict=True):
        if after.dtype == np.float32:
            assert after is before
            continue
        scores = []
        for logits in (before, after):
            probs = torch.from_numpy(logits.astype(np.float64)).log_softmax(-1)
            own = probs[torch.arange(len(labels)), torch.from_numpy(labels)]
            scores.append((-own.mean().item(), (probs.argmax(-1).numpy() == labels).mean()))
        assert np.abs(np.subtract(*scores)).max() < MOVED


def test_the_likeliest_class_stays_so_where_float16_makes_a_tie():
    near = np.zeros((2, 4), np.float32)
    near[:, 1] = 1e-5
    plain = near.astype(np.float64) - np.log(np.exp(near.astype(np.float64)).sum(-1, keepdims=True))
    assert plain.astype(np.float16)[0, 0] == plain.astype(np.float16)[0, 1]
    assert (in_half(near).argmax(-1) == 1).all()


def test_logits_that_float16_would_move_and_those_that_are_not_finite_stay_as_they_are():
    unlikely = np.zeros((3, 4), np.float32)
    unlikely[:, 0] = 50.3  # the label's logarithm is -50.3, and float16 has steps of 1/32 there
    assert as_kept([(unlikely, np.array([1, 1, 1]))])[0] is unlikely
    wild = logits_of(0)
    wild[0, 0] = np.inf
    assert as_kept([(wild, labels_of())])[0] is wild
    assert as_kept([(wild[:0], np.array([], int)), (logits_of(0), labels_of())])[1].dtype == np.float16


def test_ensembles_of_members_in_float16_score_as_before():
    labels = labels_of(3000)
    exact = np.stack([logits_of(seed, 3000) for seed in range(4)])
    exact[:, np.arange(3000), labels] += 3
    kept = [as_kept([(one, labels)])[0] for one in exact]
    assert {one.dtype.name for one in kept} == {"float16"}
    before, after = (score_pool(np.stack(each).astype(np.float32), labels) for each in (exact, kept))
    for one, other in zip(before.scores, after.scores, strict=True):
        for name in ("cnll", "nll", "cnll_before"):
            assert abs(one.value(name) - other.value(name)) < MOVED


def test_a_member_of_single_answers_is_read_without_samples(tmp_path):
    store, labels = Store(tmp_path), labels_of()
    one = helpers.trained_as(Run(cell=helpers.CELL, seed=0), logits_of(0))
    helpers.publish(store, one, labels)
    found = store.read(one.run.key)
    assert found.samples is None
    assert found.kept_in == "float32"
    assert "test_samples" not in load(next(tmp_path.glob("members/*/*/logits.safetensors")).read_bytes())
