from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp

from ensembudget.catalog import METRICS
from ensembudget.records import Interval
from ensembudget.scoring import influence
from ensembudget.scoring.ensembles import score_pool
from ensembudget.scoring.standard_errors import Variance, interval, mean_metrics, member_errors
from ensembudget.tables.sizes import size_results

from . import oracle

POOL = 8
NAMES = ("accuracy", "nll", "cnll")


@dataclass(frozen=True)
class World:
    """Members are a shared signal and noise of their own; `pool` draws as many as are asked for."""

    shared: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, seed, samples=60, classes=4):
        rng = np.random.default_rng(seed)
        labels = rng.integers(classes, size=samples)
        return cls(1.5 * np.eye(classes)[labels] + rng.normal(size=(samples, classes)), labels)

    def pool(self, rng, members=POOL):
        # Members differ in skill too, so that their losses spread more than noise alone makes them.
        skill = rng.uniform(0.3, 1.5, size=(members, 1, 1))
        return skill * self.shared + rng.normal(size=(members, *self.shared.shape))

    def errors(self, pool, size):
        logits, labels = torch.from_numpy(pool), torch.from_numpy(self.labels)
        scores = score_pool(logits, labels)
        return scores, member_errors(logits, labels, scores, size)


def influences(pool, labels, size, temperature):
    """Of the members of every group, (group, member, sample): nine tenths of a member are taken away."""
    log_probs, found = oracle.log_softmax(pool), []
    for first in range(0, len(pool) - size + 1, size):
        group = log_probs[first : first + size]
        weights = (np.ones((size, size)) - 0.9 * np.eye(size)) / (size - 0.9)
        averages = logsumexp(group[None], axis=1, b=weights[..., None, None])
        losses = np.array([oracle.tempered_losses(one[None], labels, 1 / temperature) for one in averages])
        found.append((losses.mean(0) - losses) * (size - 0.9) / 0.9)
    return np.array(found)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8])
def test_errors_are_the_spread_of_the_means_of_fresh_pools(size):
    world, rng = World.of(0), np.random.default_rng(1)
    found = [world.errors(world.pool(rng), size) for _ in range(80)]
    spread = np.std([[scores.mean(size, name) for name in NAMES] for scores, _ in found], axis=0, ddof=1)
    mean = np.mean([[one.value for one in errors[:3]] for _, errors in found], axis=0)
    # The spread of 80 pools is known to 8%.
    assert np.sqrt(mean) / spread == pytest.approx(np.ones(3), abs=0.35)


def test_the_interval_of_single_members_is_students():
    world = World.of(2)
    scores, errors = world.errors(world.pool(np.random.default_rng(3)), 1)
    for name, error in zip(NAMES, errors[:3], strict=True):
        each = [score.value(name) for score in scores.scores if score.members == 1]
        expected = stats.t.interval(0.95, POOL - 1, np.mean(each), stats.sem(each))
        found = interval(scores.mean(1, name), error)
        assert (found.low, found.high) == pytest.approx(expected)
        assert error.freedom == POOL - 1


def test_many_groups_show_their_own_spread():
    world = World.of(4)
    scores, errors = world.errors(world.pool(np.random.default_rng(0), 17), 2)
    for name, error in zip(NAMES, errors[:3], strict=True):
        each = [score.value(name) for score in scores.scores if score.members == 2]
        assert len(each) == 8
        assert error == pytest.approx((np.var(each, ddof=1) / 8, 7))


def test_a_few_groups_show_it_by_the_influence_of_their_members():
    world = World.of(5)
    pool = world.pool(np.random.default_rng(0))
    scores, errors = world.errors(pool, 4)
    for temperature, error in ((1.0, errors.nll), (scores.temperatures[4], errors.cnll)):
        means = influences(pool, world.labels, 4, temperature).mean(2)
        # The variance of each group's mean, and that of the mean of two.
        assert error.value == pytest.approx((means.var(1, ddof=1) / 4).sum() / 4)
        assert error.freedom == 6


def test_the_interaction_is_what_is_left_where_members_and_samples_have_their_means():
    world = World.of(6)
    pool = world.pool(np.random.default_rng(0))
    samples = len(world.labels)
    scores, errors = world.errors(pool, 1)
    losses = scores.losses[1].numpy()
    left = losses - losses.mean(0) - losses.mean(1, keepdims=True) + losses.mean()
    variance = (left**2).sum() / ((POOL - 1) * (samples - 1))
    assert errors.interaction == pytest.approx(variance / POOL / samples)

    scores, errors = world.errors(pool, 4)
    left = influences(pool, world.labels, 4, scores.temperatures[4])
    left -= left.mean(2, keepdims=True)
    variance = (left**2).sum() / (2 * 3 * (samples - 1))
    assert errors.interaction == pytest.approx(variance / 8 / samples)


def test_the_interaction_is_no_more_than_members_show_where_they_differ_by_noise_alone():
    """Then all of the variance over members is noise of single samples."""
    rng, ratios = np.random.default_rng(0), []
    labels = rng.integers(4, size=300)
    shared = 2 * np.eye(4)[labels] + rng.normal(size=(300, 4))
    for _ in range(40):
        pool = shared + rng.normal(size=(8, 300, 4))
        _, errors = World(shared, labels).errors(pool, 1)
        ratios.append([errors.cnll.value, errors.interaction])
    members, interaction = np.mean(ratios, axis=0)
    assert interaction == pytest.approx(members, rel=0.2)


@pytest.mark.parametrize("size", [1, 4])
def test_intervals_over_members_cover_the_mean_of_fresh_pools(size):
    """The rule before covered 78%."""
    world, rng = World.of(2), np.random.default_rng(3)
    found = [world.errors(world.pool(rng, 4), size) for _ in range(150)]
    truth = np.mean([scores.mean(size, "cnll") for scores, _ in found])
    ends = [interval(scores.mean(size, "cnll"), errors.cnll) for scores, errors in found]
    covered = np.mean([one.low <= truth <= one.high for one in ends])
    assert 0.88 <= covered <= 1  # nominally 0.95, in 150 pools of four


def test_errors_of_equal_members_are_zero():
    logits = torch.randn(1, 30, 3, generator=torch.Generator().manual_seed(0)).expand(5, -1, -1)
    labels = torch.arange(30) % 3
    scores = score_pool(logits, labels)
    for size in (1, 2, 5):
        found = member_errors(logits, labels, scores, size)
        assert [one.value for one in found[:3]] == pytest.approx([0, 0, 0], abs=1e-12)


def test_saturated_members_have_finite_errors():
    logits = torch.zeros(4, 10, 3)
    logits[..., 0] = 1e4
    labels = torch.arange(10) % 3
    assert np.isfinite(member_errors(logits, labels, score_pool(logits, labels), 2).cnll.value)


def test_a_pool_of_one_has_no_errors_and_its_values_no_intervals():
    world = World.of(6)
    scores, errors = world.errors(world.pool(np.random.default_rng(0), 1), 1)
    assert errors is None
    found = mean_metrics(scores, 1, errors)
    assert found["nll"] == Interval(value=scores.mean(1, "nll"))
    assert interval(0.3, None) == Interval(value=0.3)


def test_an_interval_stays_where_its_value_can_be():
    """An accuracy of 1.0084 was printed."""
    wide = Variance(0.04, 3)
    assert interval(0.97, wide, (0, 1)).high == 1
    assert interval(0.02, wide, (0, 1)).low == 0
    assert interval(0.02, wide).low < 0
    logits = torch.zeros(3, 20, 2)
    labels = torch.arange(20) % 2
    right = 5 * torch.nn.functional.one_hot(labels, 2).float()
    logits[:] = right
    logits[0, :12] -= 2 * right[:12]
    scores = score_pool(logits, labels)
    found = mean_metrics(scores, 1, member_errors(logits, labels, scores, 1))
    assert found["accuracy"].high == 1
    assert found["nll"].low == 0


def test_intervals_of_a_pool_that_is_nearly_always_right_stay_where_values_can_be():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=40)
    logits = 6.0 * np.eye(3)[labels] + 2.0 * rng.normal(size=(3, 40, 3))
    logits, labels = torch.from_numpy(logits), torch.from_numpy(labels)
    found = size_results(logits, labels, score_pool(logits, labels))
    free = [member_errors(logits, labels, score_pool(logits, labels), one.members) for one in found]
    clipped = 0
    for one, errors in zip(found, free, strict=True):
        for name, each in (*one.metrics.items(), ("cnll", one.cnll)):
            if each is None or each.low is None:
                continue
            lowest, highest = METRICS["nll" if name == "cnll" else name].bounds
            assert lowest <= each.low <= each.value <= each.high <= highest
            reach = interval(each.value, getattr(errors, name))  # without bounds
            clipped += reach.low < lowest or reach.high > highest
            assert each.low == max(reach.low, lowest)
            assert each.high == min(reach.high, highest)
    assert clipped  # some would have left


def test_scoring_says_how_far_it_is():
    world, shares = World.of(8), []
    pool, labels = torch.from_numpy(world.pool(np.random.default_rng(0))), torch.from_numpy(world.labels)
    scores = score_pool(pool, labels, on_share=shares.append)
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    shares.clear()
    found = size_results(pool, labels, scores, on_share=shares.append)
    assert shares == [(i + 1) / len(found) for i in range(len(found))]


@pytest.mark.parametrize("scale", [1.0, 800.0])
def test_influences_are_right_however_small_the_shares_of_members(scale):
    """From 800 on some probabilities are below the smallest float."""
    world = World.of(9)
    pool = scale * world.pool(np.random.default_rng(0), members=4)
    for temperature in (0.005, 1.0, 3.0):
        found = influence.influences(torch.from_numpy(pool), torch.from_numpy(world.labels), temperature)
        for row, at in ((0, 1.0), (1, temperature)):
            (expected,) = influences(pool, world.labels, 4, at)
            assert found[row] == pytest.approx(expected, rel=1e-9, abs=1e-9 * scale)
