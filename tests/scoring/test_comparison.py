from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ensembudget.records import Interval
from ensembudget.scoring.comparison import (
    SplitLosses,
    Verdict,
    compare,
    joint_of,
    minus,
    minus_lowest,
    split_losses,
)
from ensembudget.scoring.ensembles import score_pool
from ensembudget.scoring.joint import Joint
from ensembudget.scoring.standard_errors import MemberErrors, Variance

from . import oracle

SAMPLES = 400


def errors(deviation, freedom=7, interaction=0.0):
    one = Variance(deviation**2, freedom)
    return MemberErrors(one, one, one, interaction)


def split(members, level, *, noise=0.0, seed=0, deviation=0.001, freedom=7):
    """A split of a known mean loss; all have the samples' difficulty in common."""
    difficulty = np.random.default_rng(0).gamma(1.0, size=SAMPLES)
    own = np.random.default_rng([1, members, seed]).normal(size=SAMPLES)
    losses = difficulty - difficulty.mean() + level + noise * (own - own.mean())
    return SplitLosses(members, losses, errors(deviation, freedom))


def lone(members, level, **options):
    return SplitLosses(members, split(members, level, **options).losses, None)


def equals(count, freedom):
    """Splits that differ by their members alone, all as well known."""
    one = Variance(1.0, freedom)
    return Joint(np.zeros(count), [one] * count, np.zeros((count, count)), SAMPLES)


def quantile(level, freedom=1e9):
    """Where Student's interval of that level ends."""
    return stats.t.ppf((1 + level) / 2, freedom)


# Levels.


@pytest.mark.parametrize(("others", "freedom", "expected"), [(2, 1e9, 2.21), (3, 1e9, 2.35), (4, 1e9, 2.44)])
def test_differences_from_one_split_have_dunnetts_level(others, freedom, expected):
    """Dunnett 1964, table of two-sided 5% points."""
    assert quantile(equals(others + 1, freedom).level_from(0)) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("count", [3, 4, 6])
def test_differences_from_the_best_of_equals_have_the_level_of_the_studentised_range(count):
    expected = stats.studentized_range.ppf(0.95, count, 1e5) / 2**0.5
    assert quantile(equals(count, 1e9).level_from_best) == pytest.approx(expected, abs=0.03)


def test_a_single_difference_has_students_level():
    joint = equals(2, 7)
    assert joint.level_from(0) == joint.level_from_best == 0.95


def test_differences_from_the_lowest_of_one_are_those_from_it():
    joint = equals(4, 9)
    assert joint.level_from_lowest([2]) == joint.level_from(2)


def test_differences_from_the_lowest_of_some_know_that_it_was_chosen():
    """Of 6 equals, the lowest of 2: simulated from normal errors, without Student's degrees of freedom."""
    draws = np.random.default_rng(5).normal(size=(100_000, 6))
    away = np.abs(draws - draws[:, :2].min(1, keepdims=True)) / 2**0.5
    expected = np.quantile(away.max(1), 0.95)
    assert quantile(equals(6, 1e9).level_from_lowest([0, 1])) == pytest.approx(expected, abs=0.03)


def test_differences_from_the_lowest_of_all_are_those_from_the_best():
    splits = [split(n, 1 + 0.01 * n, noise=0.1, seed=n) for n in (1, 2, 4)]
    found = minus_lowest(splits, range(3))
    assert found == [None, *(one.above for one in compare(splits)[1:])]


def test_differences_from_the_lowest_of_some_may_be_below_zero():
    splits = [split(1, 1.0), split(2, 1.2), split(4, 1.3)]
    found = minus_lowest(splits, [1, 2])
    assert found[1] is None
    assert found[0].value == pytest.approx(-0.2)
    assert found[0].low < found[0].value < found[0].high < 0
    without = minus_lowest([*splits[:2], lone(4, 1.3)], [1, 2])
    assert without[0].value == pytest.approx(-0.2)
    assert without[0].low is None


def test_levels_of_a_few_members_are_reached_by_fresh_pools():
    """Four equal splits, eight members each; the level is estimated anew from every set of pools."""
    rng, better, worse = np.random.default_rng(0), 0, 0
    for _ in range(200):
        pools = rng.normal(size=(4, 8))
        members = [Variance(pool.var(ddof=1) / 8, 7) for pool in pools]
        splits = [
            SplitLosses(n, np.full(SAMPLES, pool.mean()), MemberErrors(one, one, one, 0.0))
            for n, pool, one in zip((1, 2, 4, 8), pools, members, strict=True)
        ]
        found = compare(splits)
        better += Verdict.BETTER in [one.verdict for one in found]
        worse += Verdict.WORSE in [one.best for one in found]
    # Expected are 5 and 10 of 200; without the rules 12 and 50.
    assert better <= 11
    assert worse <= 19


# Errors of a difference.


def test_a_difference_over_members_alone_is_welchs():
    rng = np.random.default_rng(0)
    pools = rng.normal(size=8), rng.normal(0.5, 2, size=5)
    one, other = (
        SplitLosses(n, np.full(SAMPLES, pool.mean()), errors(stats.sem(pool), len(pool) - 1))
        for n, pool in enumerate(pools, 1)
    )
    expected = stats.ttest_ind(*pools, equal_var=False).confidence_interval()
    found = minus(one, other)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert compare([one, other])[1].difference.high == pytest.approx(-found.low)


def test_a_difference_over_samples_alone_is_a_paired_students():
    one, two = split(1, 1.0, noise=0.1, deviation=0), split(2, 0.9, noise=0.1, deviation=0)
    expected = stats.ttest_rel(two.losses, one.losses).confidence_interval()
    found = minus(two, one)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_noise_of_members_in_single_samples_counts_once():
    """Two pools of the same images, members that differ by such noise alone."""
    rng, ratios = np.random.default_rng(0), []
    for _ in range(60):
        difficulty = rng.gamma(1.0, size=SAMPLES)
        pools = difficulty + rng.normal(size=(2, 4, SAMPLES))
        both = []
        for n, pool in enumerate(pools, 1):
            left = pool - pool.mean(0)
            interaction = left.var(1, ddof=1).sum() / SAMPLES / 12
            variance = Variance(pool.mean(1).var(ddof=1) / 4, 3)
            both.append(SplitLosses(n, pool.mean(0), MemberErrors(variance, variance, variance, interaction)))
        ratios.append(joint_of(both).error(0, 1).value)
    # Variance 1 a member and sample: 2 / 4 / 400 for the difference; counted twice it would be double.
    assert np.mean(ratios) == pytest.approx(2 / 4 / SAMPLES, rel=0.25)


def test_what_members_explain_is_never_taken_off_twice():
    one, two = (
        SplitLosses(n, split(n, 1.0, noise=0.1).losses, errors(0.01, interaction=1.0)) for n in (1, 2)
    )
    parts = joint_of([one, two]).parts(0, 1)
    assert parts.samples == pytest.approx(0, abs=1e-12)
    assert parts.members == pytest.approx(2e-4)


def test_paired_samples_tell_splits_apart_whose_own_intervals_overlap():
    # Difficulty varies by one nat among samples, the difference by nothing.
    one, two = split(1, 1.0), split(2, 0.98)
    assert one.losses.std() / SAMPLES**0.5 > 0.04
    assert compare([one, two])[1].verdict == "better"


# Verdicts.


def test_identical_splits_are_ties():
    one, two = split(1, 1.0), split(2, 1.0)
    twin = SplitLosses(2, one.losses, one.errors)
    for other in (two, twin):
        first, second = compare([one, other])
        assert second.verdict == "tie"
        assert sorted([first.best, second.best]) == ["best", "tie"]
        assert second.difference.value == pytest.approx(0, abs=1e-12)


def test_splits_without_any_spread_are_ties_where_they_are_equal():
    one, two = split(1, 1.0, deviation=0), split(2, 1.0, deviation=0)
    twin = SplitLosses(2, one.losses, two.errors)
    first, second = compare([one, twin])
    assert (second.verdict, first.best, second.best) == ("tie", "best", "tie")


def test_a_clearly_better_split_is_better_and_best():
    wide, four, many = compare([split(1, 1.2), split(4, 1.0), split(16, 1.5)])
    assert [wide.verdict, four.verdict, many.verdict] == [None, "better", "worse"]
    assert [wide.best, four.best, many.best] == ["worse", "best", "worse"]
    assert [wide.frequency_best, four.frequency_best, many.frequency_best] == [0, 1, 0]
    assert wide.difference is None
    assert four.difference.value == pytest.approx(-0.2)
    assert four.difference.low < -0.2 < four.difference.high < 0
    assert many.difference.low > 0
    assert wide.above.value == pytest.approx(0.2)
    assert four.above == Interval(value=0.0)


def test_members_that_vary_much_make_a_tie():
    assert compare([split(1, 1.0, deviation=0.05), split(2, 0.98, deviation=0.05)])[1].verdict == "tie"


def test_several_differences_at_once_are_less_sure_than_one():
    few = compare([split(1, 1.0), split(2, 0.9)])[1].difference
    more = compare([split(1, 1.0), split(2, 0.9), split(4, 0.9), split(8, 0.9)])[1].difference
    assert more.low < few.low < few.high < more.high


def test_differences_are_from_the_wide_network_in_whatever_order():
    splits = [split(8, 1.1), split(1, 1.0), split(4, 0.9)]
    eight, two, four = compare(splits)
    assert two.difference is None
    assert (two.verdict, four.verdict, eight.verdict) == (None, "better", "worse")
    reverse = compare(splits[::-1])
    for one, other in zip(reverse[::-1], (eight, two, four), strict=True):
        ends = [
            (found.difference.low, found.difference.high) if found.difference else ()
            for found in (one, other)
        ]
        assert ends[0] == pytest.approx(ends[1], abs=1e-4)


def test_a_split_alone_is_best():
    (only,) = compare([split(1, 1.0)])
    assert (only.best, only.verdict, only.difference, only.frequency_best) == ("best", None, None, 1.0)


def test_a_pool_of_one_is_not_judged():
    """Over samples alone its interval would be narrow, and wrong."""
    wide, four, eight = compare([split(1, 1.2), lone(4, 1.1), split(8, 1.0)])
    assert (four.verdict, four.best) == ("not judged", "not judged")
    assert (four.difference.low, four.difference.high, four.parts) == (None, None, None)
    assert four.difference.value == pytest.approx(-0.1)
    assert (eight.verdict, eight.best, wide.best) == ("better", "best", "worse")
    assert {one.frequency_best for one in (wide, four, eight)} == {None}


def test_nothing_is_judged_against_a_pool_of_one():
    wide, four, eight = compare([lone(1, 1.2), split(4, 1.1), split(8, 1.0)])
    assert [four.verdict, eight.verdict] == ["not judged"] * 2
    assert [wide.best, four.best, eight.best] == ["not judged", "worse", "best"]
    every = compare([lone(1, 1.2), lone(4, 1.1)])
    assert [one.best for one in every] == ["not judged", "best"]
    assert minus(lone(1, 1.2), split(4, 1.1)).low is None


def test_a_split_carries_the_calibrated_losses_of_its_size():
    rng = np.random.default_rng(7)
    labels = rng.integers(4, size=60)
    world = SimpleNamespace(logits=1.5 * np.eye(4)[labels] + rng.normal(size=(4, 60, 4)), labels=labels)
    logits, labels = torch.from_numpy(world.logits), torch.from_numpy(world.labels)
    one = split_losses(logits, labels, score_pool(logits, labels), 2)
    log_probs = oracle.log_softmax(world.logits)
    expected = [
        oracle.cross_fitted(oracle.average(log_probs[i : i + 2])[None], world.labels)[0] for i in (0, 2)
    ]
    assert one.members == 2
    assert one.losses.shape == labels.shape
    assert one.losses.mean() == pytest.approx(np.mean(expected), abs=1e-9)
    assert one.errors.cnll.value > 0


# How often a split is lowest.


@given(st.lists(st.floats(0.5, 1.5), min_size=1, max_size=6), st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_frequencies_of_being_best_sum_to_one(levels, seed):
    splits = [split(n + 1, level, noise=0.3, seed=seed, deviation=0.02) for n, level in enumerate(levels)]
    found = compare(splits, seed)
    assert sum(one.frequency_best for one in found) == pytest.approx(1)
    assert [one.best for one in found].count("best") == 1
    assert found[int(np.argmin([s.losses.mean() for s in splits]))].best == "best"


def test_the_measured_frequency_of_being_best_is_a_probability_under_the_errors():
    # Two splits that differ by one standard deviation of their difference: 84 in 100.
    flat = np.ones(50)
    one = SplitLosses(1, flat + 0.01 * np.sqrt(2), errors(0.01))
    found = compare([one, SplitLosses(2, flat, errors(0.01))])
    assert found[1].frequency_best == pytest.approx(0.8413, abs=0.01)
