import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, brier_score_loss, hamming_loss, log_loss

from ensembudget.metrics.accuracy import accuracy
from ensembudget.metrics.brier import brier
from ensembudget.metrics.disagreement import disagreement
from ensembudget.metrics.ece import ece
from ensembudget.metrics.nll import label_losses
from ensembudget.scoring.ensembles import agreement
from ensembudget.scoring.mixing import group_matrix, pooled

from . import oracle

SEEDS = st.integers(0, 2**32)


def draw(seed, samples=200, classes=5, members=1):
    rng = np.random.default_rng(seed)
    log_probs = oracle.log_softmax(2 * rng.normal(size=(members, samples, classes)))
    return log_probs, rng.integers(classes, size=samples)


@given(SEEDS, st.integers(2, 12))
@settings(max_examples=15, deadline=None)
def test_metrics_of_one_prediction_agree_with_scikit_learn(seed, classes):
    (log_probs,), labels = draw(seed, classes=classes)
    z, y, probs = torch.from_numpy(log_probs), torch.from_numpy(labels), np.exp(log_probs)
    names = np.arange(classes)
    assert accuracy(z, y) == pytest.approx(accuracy_score(labels, probs.argmax(1)), abs=1e-12)
    assert float(label_losses(z, y).mean()) == pytest.approx(log_loss(labels, probs, labels=names), abs=1e-12)
    truth = np.eye(classes)[labels]
    assert brier(z, y) == pytest.approx(((probs - truth) ** 2).sum() / len(labels), abs=1e-12)


def test_brier_is_twice_scikit_learns_for_two_classes():
    (log_probs,), labels = draw(0, classes=2)
    found = brier(torch.from_numpy(log_probs), torch.from_numpy(labels))
    assert found == pytest.approx(2 * brier_score_loss(labels, np.exp(log_probs[:, 1])), abs=1e-12)


@given(SEEDS, st.integers(2, 12), st.integers(1, 20))
@settings(max_examples=25, deadline=None)
def test_ece_agrees_with_a_loop_over_bins(seed, classes, bins):
    (log_probs,), labels = draw(seed, classes=classes)
    found = ece(torch.from_numpy(log_probs), torch.from_numpy(labels), bins)
    assert found == pytest.approx(oracle.ece(log_probs, labels, bins), abs=1e-12)


def certain_members(right, members):
    """`right` of `members` networks put all their probability on class 0, the others on class 1."""
    votes = torch.full((members, 1, 2), 0.0, dtype=torch.float64)
    votes[:right, 0, 0] = votes[right:, 0, 1] = 1000.0
    return pooled(votes, group_matrix(members, [slice(None)]))[0]


@pytest.mark.parametrize(
    ("right", "members"),
    [(2, 3), (3, 5), (4, 5), (4, 6), (6, 9), (6, 10), (8, 10), (8, 12), (8, 15), (11, 15)],
)
def test_ece_puts_a_confidence_on_an_edge_into_the_lower_bin_whatever_its_rounding(right, members):
    # Saturated members agree k times in n: their confidence is an edge of 15 bins. A second sample a
    # little below joins the lower bin, so that a miss and a hit there cancel.
    edge = certain_members(right, members)
    below = torch.tensor([[right / members - 0.01, 1 - right / members + 0.01]], dtype=torch.float64).log()
    log_probs, labels = torch.cat([edge, below]), torch.tensor([0, 1])
    expected = abs((1 - right / members) + (0 - right / members + 0.01)) / 2
    assert ece(log_probs, labels) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("members", [2, 4, 6, 10, 30])
def test_equal_votes_of_certain_members_tie_exactly(members):
    (tied,) = certain_members(members // 2, members)
    assert tied[0] == tied[1]


def test_ece_of_certain_predictions_is_their_error():
    log_probs = torch.tensor([[0.0, -2000.0]] * 4, dtype=torch.float64)
    assert ece(log_probs, torch.tensor([0, 0, 0, 1])) == 0.25


def test_ece_of_calibrated_predictions_is_small():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 20_000)
    labels = (rng.random(20_000) > confidence).astype(np.int64)
    log_probs = torch.from_numpy(np.log(np.stack([confidence, 1 - confidence], 1)))
    assert ece(log_probs, torch.from_numpy(labels)) < 0.015


@given(SEEDS, st.integers(2, 6), st.integers(2, 6))
@settings(max_examples=20, deadline=None)
def test_disagreement_agrees_with_explicit_pairs(seed, members, classes):
    log_probs, _ = draw(seed, 50, classes, members)
    found = disagreement(agreement(torch.from_numpy(log_probs.argmax(-1))))
    assert found == pytest.approx(oracle.disagreement(log_probs), abs=1e-12)


def test_disagreement_of_two_members_is_their_hamming_distance():
    log_probs, _ = draw(3, members=2)
    one, two = predictions = log_probs.argmax(-1)
    assert disagreement(agreement(torch.from_numpy(predictions))) == pytest.approx(
        hamming_loss(one, two), abs=1e-12
    )


def test_disagreement_of_one_member_is_absent():
    assert disagreement(agreement(torch.zeros(1, 5))) is None
