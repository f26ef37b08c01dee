import numpy as np
import pytest
import torch
from scipy.special import logsumexp, softmax

from ensembudget.scoring import mixing
from ensembudget.scoring.mixing import group_matrix, groups, log_means, means_and_slopes, pooled

from . import oracle

GROUPS = [slice(0, 1), slice(1, 3), slice(3, 6), slice(0, 6)]


def draw(scale, members=6, places=50):
    rng = np.random.default_rng(0)
    return -scale * rng.random((members, places)), rng.normal(size=(members, places))


# From 1,000 on some probabilities are zero beside others, and some groups' are altogether.
@pytest.mark.parametrize("scale", [1.0, 100.0, 1000.0, 1e6])
def test_means_of_probabilities_are_right_however_small(scale):
    logs, slopes = draw(scale)
    matrix = group_matrix(6, GROUPS)
    means, mixed = means_and_slopes(logs, slopes, matrix)
    assert np.array_equal(means, log_means(logs, matrix))
    for row, group in enumerate(GROUPS):
        expected = logsumexp(logs[group], axis=0) - np.log(len(logs[group]))
        assert means[row] == pytest.approx(expected, rel=1e-13, abs=1e-13)
        expected = (softmax(logs[group], axis=0) * slopes[group]).sum(0)
        assert mixed[row] == pytest.approx(expected, abs=1e-11)


def test_a_group_does_not_depend_on_other_members_in_the_least():
    logs, _ = draw(10)
    other = logs.copy()
    other[3:] -= 2000
    matrix = group_matrix(6, GROUPS)
    assert np.array_equal(log_means(logs, matrix)[:2], log_means(other, matrix)[:2])


@pytest.mark.parametrize("numbers", [1, 100, 2**18])
@pytest.mark.parametrize("scale", [1.0, 500.0])
def test_pooling_is_the_mean_of_probabilities(scale, numbers, monkeypatch):
    monkeypatch.setattr(mixing, "AT_ONCE", numbers)
    logits = scale * np.random.default_rng(1).normal(size=(6, 20, 4))
    found = pooled(torch.from_numpy(logits), group_matrix(6, GROUPS)).numpy()
    log_probs = oracle.log_softmax(logits)
    for one, group in zip(found, GROUPS, strict=True):
        assert one == pytest.approx(oracle.average(log_probs[group]), rel=1e-12, abs=1e-12)


def test_pooling_may_leave_members_out():
    logits = torch.randn(4, 9, 3, generator=torch.Generator().manual_seed(0))
    found = pooled(logits, np.array([[0.0, 1, 1, 0]])).numpy()
    log_probs = oracle.log_softmax(logits.double().numpy())
    assert found[0] == pytest.approx(oracle.average(log_probs[1:3]), abs=1e-12)


def test_pooling_survives_probabilities_below_the_smallest_float():
    logits = torch.tensor([[[0.0, -5000.0]], [[0.0, -4000.0]]], dtype=torch.float64)
    found = pooled(logits, group_matrix(2, [slice(None)]))
    assert found[0, 0, 1].item() == pytest.approx(-4000 - np.log(2), abs=1e-9)


def test_groups_are_disjoint_and_leave_out_what_does_not_fill_one():
    assert [slice(0, 3), slice(3, 6)] == groups(7, 3)
    assert len(groups(7, 8)) == 0
