from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembudget.records import Interval
from ensembudget.scoring.bootstrap import Spread, interval, member_deviations, sample_deviations
from ensembudget.scoring.comparison import SplitLosses, compare, split_losses
from ensembudget.scoring.ensembles import score_pool

from . import oracle

POOL = 8


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


def group_means(logits, labels, size, temperature):
    """Accuracy, loss, and loss at a temperature after averaging: means over disjoint groups."""
    log_probs = oracle.log_softmax(logits)
    averages = [
        oracle.average(log_probs[i : i + size]) for i in range(0, len(logits) - size + 1, size)
    ]  # fmt: skip
    return np.mean(
        [
            (
                oracle.accuracy(one, labels),
                oracle.tempered_losses(one[None], labels, 1).mean(),
                oracle.tempered_losses(one[None], labels, 1 / temperature).mean(),
            )
            for one in averages
        ],
        axis=0,
    )


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8])
def test_member_deviations_spread_as_the_means_of_fresh_pools_do(size):
    world, rng = World.of(0), np.random.default_rng(1)
    fresh = [group_means(world.pool(rng), world.labels, size, 1.3) for _ in range(300)]
    labels = torch.from_numpy(world.labels)
    estimates = [
        np.std(member_deviations(torch.from_numpy(world.pool(rng)), labels, size, 1.3, draws=200), axis=1)
        for _ in range(30)
    ]
    # A jackknife of pairs is a quarter too wide here; from three members on it is right.
    ratio = np.sqrt(np.square(estimates).mean(0)) / np.std(fresh, axis=0)
    assert ratio == pytest.approx(np.ones(3), abs=0.3 if size == 2 else 0.25)


@pytest.mark.parametrize("size", [1, 4])
def test_intervals_over_members_cover_the_mean_of_fresh_pools(size):
    world, rng = World.of(2), np.random.default_rng(3)
    truth = np.mean([group_means(world.pool(rng), world.labels, size, 1.0)[2] for _ in range(300)])
    labels = torch.from_numpy(world.labels)
    covered = 0
    for _ in range(60):
        pool = world.pool(rng)
        moves = member_deviations(torch.from_numpy(pool), labels, size, 1.0, draws=200)
        found = interval(group_means(pool, world.labels, size, 1.0)[2], moves.cnll)
        covered += found.low <= truth <= found.high
    assert covered / 60 >= 0.8  # nominally 0.95; eight members are few


def test_member_deviations_of_equal_members_are_zero():
    logits = torch.randn(1, 30, 3, generator=torch.Generator().manual_seed(0)).expand(5, -1, -1)
    moves = np.array(member_deviations(logits, torch.arange(30) % 3, 2, 1.0))
    assert moves == pytest.approx(np.zeros((3, 500)), abs=1e-6)


def test_member_deviations_have_mean_zero_and_come_from_the_seed_alone():
    world = World.of(4)
    logits, labels = torch.from_numpy(world.pool(np.random.default_rng(0))), torch.from_numpy(world.labels)
    one, same, other = (member_deviations(logits, labels, 2, 1.0, seed=seed) for seed in (0, 0, 1))
    assert np.abs(np.mean(one, axis=1)) == pytest.approx(np.zeros(3), abs=0.2 * np.max(np.std(one, axis=1)))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert {len(draws) for draws in one} == {500}


def test_member_deviations_of_single_networks_are_a_bootstrap_of_their_losses():
    world = World.of(5)
    logits, labels = world.pool(np.random.default_rng(0)), world.labels
    each = [group_means(logits[i : i + 1], labels, 1, 1.7) for i in range(POOL)]
    moves = member_deviations(torch.from_numpy(logits), torch.from_numpy(labels), 1, 1.7, draws=4000)
    assert np.std(moves, axis=1) == pytest.approx(np.std(each, axis=0, ddof=1) / np.sqrt(POOL), rel=0.05)


def test_saturated_members_have_finite_deviations():
    logits = torch.zeros(4, 10, 3)
    logits[..., 0] = 1e4
    moves = member_deviations(logits, torch.arange(10) % 3, 2, 0.01)
    assert np.isfinite(moves).all()


def test_a_pool_of_one_shows_no_spread():
    world = World.of(6)
    logits = torch.from_numpy(world.pool(np.random.default_rng(0), 1))
    labels = torch.from_numpy(world.labels)
    assert member_deviations(logits, labels, 1, 1.0) is None
    one = split_losses(logits, labels, score_pool(logits, labels), 1)
    assert one.spread is None
    assert interval(float(one.losses.mean()), None) == Interval(value=float(one.losses.mean()))


def test_a_split_carries_the_calibrated_losses_of_its_size():
    world = World.of(7)
    logits, labels = world.pool(np.random.default_rng(0), 4), world.labels
    scores = score_pool(torch.from_numpy(logits), torch.from_numpy(labels))
    one = split_losses(torch.from_numpy(logits), torch.from_numpy(labels), scores, 2)
    log_probs = oracle.log_softmax(logits)
    expected = [oracle.cross_fitted(oracle.average(log_probs[i : i + 2])[None], labels)[0] for i in (0, 2)]
    assert one.members == 2
    assert one.losses.shape == labels.shape
    assert one.losses.mean() == pytest.approx(np.mean(expected), abs=1e-9)
    assert min(one.spread.cnll) < 0 < max(one.spread.cnll)


def test_sample_deviations_have_the_standard_error_of_a_mean():
    losses = np.random.default_rng(0).gamma(1.0, size=(2, 500))
    moves = sample_deviations(losses, draws=4000)
    assert moves.shape == (2, 4000)
    assert moves.std(1) == pytest.approx(losses.std(1) / np.sqrt(500), rel=0.05)
    assert moves.mean(1) == pytest.approx([0, 0], abs=0.005)


def test_sample_deviations_are_paired():
    losses = np.random.default_rng(0).gamma(1.0, size=200)
    one, two = sample_deviations(np.stack([losses, losses + 3]))
    assert one == pytest.approx(two, abs=1e-12)


def test_an_interval_holds_the_central_95_percent():
    deviations = np.linspace(-1, 1, 2001)
    found = interval(10.0, deviations)
    assert (found.value, found.low, found.high) == pytest.approx((10, 9.05, 10.95), abs=1e-3)
    assert interval(10.0, None) == Interval(value=10.0)


def split(members, level, *, noise=0.0, seed=0, spread_of_members=0.001):
    """A split of a known mean loss; all have the samples' difficulty in common."""
    difficulty = np.random.default_rng(0).gamma(1.0, size=400)
    rng = np.random.default_rng([1, members, seed])
    losses = difficulty - difficulty.mean() + level + noise * rng.normal(size=400)
    return SplitLosses(members, losses, Spread(*spread_of_members * rng.normal(size=(3, 500))))


def test_identical_splits_are_ties():
    one, two = split(1, 1.0), split(2, 1.0)
    twin = SplitLosses(2, one.losses, one.spread)
    for other in (two, twin):
        first, second = compare([one, other])
        assert second.verdict == "tie"
        assert sorted([first.best, second.best]) == ["best", "tie"]
        assert second.difference.value == pytest.approx(0, abs=1e-12)


def test_a_clearly_better_split_is_better_and_best():
    wide, four, many = compare([split(1, 1.2), split(4, 1.0), split(16, 1.5)])
    assert [wide.verdict, four.verdict, many.verdict] == [None, "better", "worse"]
    assert [wide.best, four.best, many.best] == ["worse", "best", "worse"]
    assert [wide.frequency_best, four.frequency_best, many.frequency_best] == [0, 1, 0]
    assert wide.difference is None
    assert four.difference.value == pytest.approx(-0.2)
    assert four.difference.low < -0.2 < four.difference.high < 0
    assert many.difference.low > 0


def test_paired_samples_tell_splits_apart_whose_own_intervals_overlap():
    # Difficulty varies by one nat among samples, the difference by nothing.
    one, two = split(1, 1.0), split(2, 0.98)
    moves = sample_deviations(one.losses[None])[0]
    assert np.std(moves) > 0.04
    assert compare([one, two])[1].verdict == "better"


def test_members_that_vary_much_make_a_tie():
    splits = [split(1, 1.0, spread_of_members=0.05), split(2, 0.98, spread_of_members=0.05)]
    assert compare(splits)[1].verdict == "tie"


def test_differences_are_from_the_wide_network_in_whatever_order():
    splits = [split(8, 1.1), split(1, 1.0), split(4, 0.9)]
    eight, two, four = compare(splits)
    assert two.difference is None
    assert (two.verdict, four.verdict, eight.verdict) == (None, "better", "worse")
    reverse = compare(splits[::-1])
    assert [one.difference for one in reverse[::-1]] == [one.difference for one in (eight, two, four)]


def test_splits_of_one_member_are_compared_over_samples_alone():
    one, two = (SplitLosses(n, split(n, level, noise=0.1).losses, None) for n, level in ((1, 1.0), (2, 0.9)))
    first, second = compare([one, two])
    assert first.difference is None
    moves = (two.losses - one.losses).std() / np.sqrt(400)
    width = second.difference.high - second.difference.low
    assert width == pytest.approx(2 * 1.96 * moves, rel=0.15)


def test_a_split_alone_is_best():
    (only,) = compare([split(1, 1.0)])
    assert (only.best, only.verdict, only.difference, only.frequency_best) == ("best", None, None, 1.0)


@given(st.lists(st.floats(0.5, 1.5), min_size=1, max_size=6), st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_frequencies_of_being_best_sum_to_one(levels, seed):
    splits = [
        split(n + 1, level, noise=0.3, seed=seed, spread_of_members=0.02) for n, level in enumerate(levels)
    ]
    found = compare(splits, seed)
    assert sum(one.frequency_best for one in found) == pytest.approx(1)
    assert [one.best for one in found].count("best") == 1
    assert found[int(np.argmin([s.losses.mean() for s in splits]))].best == "best"


def test_the_measured_frequency_of_being_best_is_a_probability_under_the_spread():
    # Two splits that differ by one standard deviation of their difference: 84 in 100.
    deviations = [Spread(*0.01 * np.random.default_rng(i).normal(size=(3, 500))) for i in (1, 2)]
    flat = np.ones(50)
    one = SplitLosses(1, flat + 0.01 * np.sqrt(2), deviations[0])
    found = compare([one, SplitLosses(2, flat, deviations[1])])
    assert found[1].frequency_best == pytest.approx(0.84, abs=0.05)
