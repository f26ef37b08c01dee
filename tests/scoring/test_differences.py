"""Two pools on the same test samples: differences against the errors of one pool and plain formulas."""

import numpy as np
import pytest
import torch
from scipy import stats

from ensembudget.records import Interval
from ensembudget.scoring.comparison import minus, split_losses
from ensembudget.scoring.differences import (
    MEASURES,
    MeasureDifference,
    differences,
    intervals_at_once,
    measured,
)
from ensembudget.scoring.ensembles import score_pool
from ensembudget.scoring.standard_errors import Variance, member_errors

SAMPLES, CLASSES = 120, 4
LABELS = torch.arange(SAMPLES) % CLASSES
DIFFICULTY = np.random.default_rng(0).normal(size=(SAMPLES, CLASSES))


def pool(seed, members=8, strength=2.0, noise=0.8):
    rng = np.random.default_rng([7, seed])
    own = noise * rng.normal(size=(members, SAMPLES, CLASSES))
    return torch.from_numpy(strength * np.eye(CLASSES)[LABELS.numpy()] + DIFFICULTY + own)


def of(logits, size):
    scores = score_pool(logits, LABELS)
    return scores, measured(logits, LABELS, scores, size)


CNLL = MEASURES.index("cnll")


@pytest.mark.parametrize(("members", "size"), [(8, 1), (16, 2), (8, 2), (8, 4), (8, 8)])
def test_what_members_move_comes_to_the_errors_of_one_pool(members, size):
    scores, found = of(pool(0, members), size)
    expected = member_errors(pool(0, members), LABELS, scores, size)
    variances = found.moves.variances()
    for name, one in zip(MEASURES, variances, strict=True):
        assert one.value == pytest.approx(getattr(expected, name).value, rel=1e-9), name
        assert one.freedom == getattr(expected, name).freedom
    assert found.moves.interactions()[CNLL] == pytest.approx(expected.interaction, rel=1e-9)
    for name, row in zip(MEASURES, found.losses, strict=True):
        assert row.mean() == pytest.approx(scores.mean(size, name), rel=1e-12)


@pytest.mark.parametrize("size", [1, 2, 8])
def test_one_difference_of_independent_members_is_that_of_two_splits(size):
    one, other = pool(1), pool(2, strength=1.8)
    sides = [of(logits, size) for logits in (one, other)]
    cnll = differences(sides[0][1], sides[1][1])[CNLL]
    splits = [
        split_losses(logits, LABELS, scores, size)
        for logits, (scores, _) in zip((one, other), sides, strict=True)
    ]
    (found,), expected = intervals_at_once([cnll]), minus(*splits)
    assert (found.value, found.low, found.high) == pytest.approx(
        (expected.value, expected.low, expected.high), rel=1e-6
    )


def test_pairing_takes_what_a_seed_does_to_both_off_the_error():
    """Single members, each trained twice with the same seed: the oracle is the paired t test over members."""
    first = pool(3)
    again = first + 0.05 * torch.randn(first.shape, generator=torch.Generator().manual_seed(0))
    sides = [of(logits, 1) for logits in (again, first)]
    paired = differences(sides[0][1], sides[1][1], paired=True)
    independent = differences(sides[0][1], sides[1][1])
    each = sides[0][0].losses[1].mean(1).numpy() - sides[1][0].losses[1].mean(1).numpy()
    expected = stats.ttest_1samp(each, 0)
    assert paired[CNLL].members.value ** 0.5 == pytest.approx(float(stats.sem(each)), rel=1e-9)
    assert paired[CNLL].members.freedom == expected.df
    assert paired[CNLL].members.value < 0.1 * independent[CNLL].members.value


@pytest.mark.parametrize("size", [2, 8])
def test_the_same_pool_twice_differs_by_nothing_and_knows_it(size):
    _, one = of(pool(4), size)
    for found in differences(one, one, paired=True):
        assert (found.value, found.members.value, found.interaction) == (0, 0, 0)


def known(values, deviation=1.0, freedom=1e6):
    """Differences that are known up to members alone."""
    return [MeasureDifference(np.full(SAMPLES, v), Variance(deviation**2, freedom), 0.0) for v in values]


@pytest.mark.parametrize("count", [2, 5, 12])
def test_several_intervals_at_once_have_the_level_of_the_largest_of_normal_errors(count):
    found = intervals_at_once(known([0.0] * count))
    expected = stats.norm.ppf((1 + 0.95 ** (1 / count)) / 2)
    assert [one.high for one in found] == pytest.approx([expected] * count, abs=0.04)


def test_one_interval_is_students():
    (found,) = intervals_at_once(known([0.5], freedom=7))
    assert found.high - found.value == pytest.approx(stats.t.ppf(0.975, 7), rel=1e-6)


def test_a_pool_of_one_has_a_difference_and_no_interval():
    lone, whole = of(pool(5, members=1), 1)[1], of(pool(6), 1)[1]
    found = intervals_at_once([*differences(lone, whole), *differences(whole, whole)])
    assert [one.low for one in found[:3]] == [None] * 3
    assert all(one.low is not None for one in found[3:])
    assert intervals_at_once(differences(lone, lone)) == [Interval(value=0.0)] * 3


def test_better_members_are_told_apart():
    one, other = (of(logits, 2)[1] for logits in (pool(7, 16, strength=3.0), pool(8, 16, strength=1.5)))
    found = dict(zip(MEASURES, intervals_at_once(differences(one, other)), strict=True))
    assert found["cnll"].high < 0
    assert found["nll"].high < 0
    assert found["accuracy"].low > 0
