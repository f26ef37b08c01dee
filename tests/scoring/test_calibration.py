import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembudget.errors import ScoreError
from ensembudget.scoring.calibration import Fold, calibrated_nll, geometric_mean, halvings

from . import oracle
from .draws import calibrated


@pytest.mark.parametrize("scale", [1e-3, 1e3, 1e6])
@pytest.mark.parametrize("before", [False, True])
def test_extreme_logits_give_finite_scores(scale, before):
    logits, labels = calibrated(9, members=3)
    nll, temperature = calibrated_nll(scale * logits, labels, before=before)
    assert math.isfinite(nll)
    assert 1e-3 <= temperature <= 1000.001


def test_logits_a_thousand_times_too_large_cost_little_after_calibration():
    logits, labels = calibrated(9)
    nll, _ = calibrated_nll(300 * logits, labels)
    assert nll == pytest.approx(calibrated_nll(logits, labels).nll, abs=1e-9)


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("members", [1, 4])
def test_the_calibrated_nll_agrees_with_a_plain_numpy_evaluator(before, members):
    logits, labels = calibrated(10, samples=101, members=members)
    log_probs = oracle.log_softmax(2 * logits.numpy())
    prediction = log_probs if before else oracle.average(log_probs)[None]
    expected = oracle.cross_fitted(prediction, labels.numpy(), seed=4)
    assert calibrated_nll(2 * logits, labels, before=before, seed=4) == pytest.approx(expected, abs=1e-9)


def test_log_probabilities_and_logits_have_one_score():
    logits, labels = calibrated(11, members=2)
    assert calibrated_nll(logits, labels) == pytest.approx(calibrated_nll(logits.log_softmax(-1), labels))


def test_before_and_after_are_one_for_a_single_member():
    logits, labels = calibrated(12)
    assert calibrated_nll(logits, labels, before=True) == pytest.approx(calibrated_nll(logits, labels))


def test_bad_logits_are_refused_before_anything_is_fitted():
    with pytest.raises(ScoreError, match="member 0, sample 1"):
        calibrated_nll(torch.tensor([[[0.0, 1.0], [0.0, torch.nan]]]), torch.tensor([0, 1]))


def test_a_fold_that_scores_what_it_was_fitted_on_is_refused():
    with pytest.raises(ScoreError, match=r"2 samples would be both fitted on and scored on, first 3\."):
        Fold(np.array([0, 3, 5]), np.array([5, 4, 3]))


@given(st.integers(2, 300), st.integers(1, 6), st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_halvings_cut_all_samples_in_two_each_way_round(samples, repeats, seed):
    folds = halvings(samples, repeats, seed)
    assert len(folds) == 2 * repeats
    for one, other in zip(folds[::2], folds[1::2], strict=True):
        assert sorted([*one.fit, *one.score]) == list(range(samples))
        assert len(one.fit) - len(one.score) == samples % 2
        assert one.fit.tolist() == other.score.tolist()
        assert one.score.tolist() == other.fit.tolist()


def test_halvings_depend_on_the_seed_alone():
    def drawn(seed, repeats):
        return [fold.fit.tolist() for fold in halvings(50, repeats, seed)]

    torch.manual_seed(0)
    one = drawn(1, 5)
    torch.manual_seed(1)
    assert drawn(1, 5) == one
    assert drawn(1, 2) == one[:4]
    assert drawn(2, 5) != one
    assert len({tuple(fit) for fit in one}) == 10


def test_temperatures_are_averaged_geometrically():
    assert geometric_mean(torch.tensor([0.1, 10.0, 1.0, 8.0], dtype=torch.float64)) == pytest.approx(8**0.25)
