"""Statistics of a map against simulations whose truth is known, and against closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmarks.coverage.maps import drawn_map
from ensembudget.scoring.comparison import SplitLosses
from ensembudget.scoring.covariance import PoolNoise
from ensembudget.scoring.crossings import Side, sign_changes
from ensembudget.scoring.drawing import Ensembles, drawn_errors
from ensembudget.scoring.shares import Paired, difference, share_gone
from ensembudget.scoring.standard_errors import MemberErrors, Variance
from ensembudget.scoring.subsets import over_subsets
from ensembudget.scoring.turning import turned, turned_band

AT = np.array([500.0, 1000, 2000, 4000, 8000])
REPETITIONS = 120
# Of so many repetitions of 95%, fewer are seen once in a thousand.
LEAST_COVERED = stats.binom.ppf(0.001, REPETITIONS, 0.95) / REPETITIONS


def split(pool, size, losses, variance, freedom, noise):
    one = Variance(variance, freedom)
    return Ensembles(pool, SplitLosses(size, losses, MemberErrors(one, one, one, 0.0)), noise)


# Joint draws.


def test_errors_of_two_sizes_of_one_pool_covary_as_its_noise_says_and_those_of_two_pools_do_not():
    moments = np.array([[4.0, 1.5], [1.5, 1.0]])
    noise = PoolNoise(8, np.array([1.0, 2.0]), moments, 7.0)
    flat = np.zeros(50)
    splits = [split("a", 1, flat, 0.5, 1e6, noise), split("a", 2, flat, 0.125, 1e6, noise)]
    splits.append(split("b", 1, flat, 0.25, 1e6, noise))
    found = np.cov(drawn_errors(splits, draws=100_000))
    assert np.diag(found) == pytest.approx([0.5, 0.125, 0.25], rel=0.03)
    assert found[0, 1] == pytest.approx(0.75 * (0.5 * 0.125) ** 0.5, rel=0.03)
    assert abs(found[:2, 2]).max() < 0.005


def test_errors_over_members_are_students():
    splits = [split(str(i), 1, np.zeros(50), 1.0, 7, PoolNoise(8, np.ones(1), np.eye(1), 7)) for i in (0, 1)]
    first, _ = drawn_errors(splits, draws=200_000)
    assert np.quantile(first, [0.975, 0.995]) == pytest.approx(stats.t.ppf([0.975, 0.995], 7), rel=0.03)


def test_errors_over_samples_are_shared():
    rng = np.random.default_rng(0)
    difficulty, own = rng.normal(size=400), 0.1 * rng.normal(size=(2, 400))
    noise = PoolNoise(8, np.ones(1), np.eye(1), 7)
    splits = [split(str(i), 1, difficulty + own[i], 0.0, 7, noise) for i in (0, 1)]
    first, second = drawn_errors(splits, draws=50_000)
    expected = stats.sem(own[0] - own[1])
    assert (first - second).std() == pytest.approx(expected, rel=0.03)


# Intervals of what was chosen.


def test_the_interval_of_one_mean_is_where_its_draws_lie():
    """Symmetric errors and nothing chosen: nothing is turned."""
    drawn = 1.0 + 0.1 * np.random.default_rng(0).normal(size=(1, 100_000))
    low, high = turned(np.ones(1), drawn)
    assert [low[0], high[0]] == pytest.approx([1 - 0.196, 1 + 0.196], abs=0.003)


def test_the_interval_of_the_lowest_of_three_equals_holds_the_truth_where_percentiles_do_not():
    """The hardest case: equal means, known errors, and nothing that they are compared with."""
    rng, held = np.random.default_rng(0), np.zeros(2)
    for _ in range(1000):
        means = rng.normal(size=3)
        drawn = (means[:, None] + rng.normal(size=(3, 2000))).min(0)
        for i, (low, high) in enumerate([turned(means.min(), drawn), np.quantile(drawn, [0.025, 0.975])]):
            held[i] += low <= 0 <= high
    assert held[0] / 1000 >= 0.91
    assert held[1] / 1000 < 0.85


def test_a_band_holds_everywhere_at_once_as_often_as_it_says():
    rng, held = np.random.default_rng(0), 0
    for _ in range(400):
        means = rng.normal(size=5)
        low, high = turned_band(means, means[:, None] + rng.normal(size=(5, 4000)))
        held += bool((low <= 0).all() and (high >= 0).all())
    assert 0.92 <= held / 400 <= 0.98


# Where the sign changes.


def crossings_of(truth, ties, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(REPETITIONS):
        values, drawn = drawn_map(rng, truth, ties=ties)
        yield sign_changes(AT, values, drawn).changes


@pytest.mark.parametrize("ties", [0.0, 0.006, 0.05])
def test_the_interval_of_a_crossing_holds_it_as_often_as_it_says(ties):
    """The advantage is zero at 3,364 images; n = 2, 4 and 8 are equal, nearly so, or clearly apart."""
    place = np.exp(np.interp(0, [-0.02, 0.01], np.log([2000, 4000])))
    held = 0
    for changes in crossings_of(np.array([-0.08, -0.05, -0.02, 0.01, 0.03]), ties):
        held += any((one.low or 0) <= place <= (one.high or np.inf) for one in changes)
    assert held / REPETITIONS >= LEAST_COVERED


@pytest.mark.parametrize("truth", [[-0.04, -0.02, -0.002, -0.002, -0.002], [-1e-9] * 5])
def test_a_sign_that_never_changes_is_seldom_said_to(truth):
    wrong = sum(
        any({one.before, one.after} == {Side.BELOW, Side.ABOVE} for one in changes)
        for changes in crossings_of(np.array(truth), 0.006)
    )
    assert wrong / REPETITIONS <= 0.05


def exactly(values):
    """What is known of a line whose heights have no error to speak of."""
    values = np.asarray(values, float)
    noise = 1e-9 * np.random.default_rng(0).normal(size=(len(values), 200))
    return sign_changes(AT[: len(values)], values, values[:, None] + noise)


@given(st.lists(st.floats(-1, 1).filter(lambda v: abs(v) > 1e-3), min_size=2, max_size=5))
def test_without_errors_every_change_of_sign_is_found_at_its_place(values):
    logs = np.log(AT[: len(values)])
    expected = [
        np.exp(logs[i] + values[i] / (values[i] - values[i + 1]) * (logs[i + 1] - logs[i]))
        for i in range(len(values) - 1)
        if values[i] * values[i + 1] < 0
    ]
    found = exactly(values)
    assert [one.place for one in found.changes if one.place] == pytest.approx(expected, rel=1e-3)
    for one, place in zip(found.changes, expected, strict=False):
        assert one.before != one.after
        assert (one.low, one.high) == pytest.approx((place, place), rel=1e-2)
    assert found.never == (not expected)


def test_a_line_of_one_side_has_no_place():
    (one,) = exactly([-1, -0.5, -2]).changes
    assert (one.before, one.after, one.place, one.low, one.high) == (Side.BELOW, Side.BELOW, None, None, None)


def test_an_end_beyond_the_data_is_open():
    """Below zero at 500 and undecided at 1,000: what lies above 1,000 images nobody knows."""
    rng = np.random.default_rng(0)
    values = np.array([-0.1, 0.005])
    (one,) = sign_changes(AT[:2], values, values[:, None] + 0.01 * rng.normal(size=(2, 4000))).changes
    assert (one.before, one.after, one.high) == (Side.BELOW, Side.OPEN, None)
    assert 500 < one.low < one.place < 1000


def test_noise_alone_decides_nothing():
    values = np.array([-0.001, 0.001, -0.001])
    drawn = values[:, None] + np.random.default_rng(0).normal(size=(3, 1000))
    (one,) = sign_changes(AT[:3], values, drawn).changes
    assert (one.before, one.after, one.low, one.high) == (Side.OPEN, Side.OPEN, None, None)


# Shares.


def paired(rng, cells, ties, same_wide):
    values, drawn = drawn_map(rng, [-0.05, -0.02] * cells, ties=ties, same_wide=same_wide)
    return Paired(values[::2].mean(), values[1::2].mean(), drawn[::2].mean(0), drawn[1::2].mean(0))


@pytest.mark.parametrize(("cells", "ties"), [(1, 0.006), (5, 0.0), (5, 0.05)])
@pytest.mark.parametrize("same_wide", [False, True])
def test_intervals_of_shares_and_differences_hold_the_truth(cells, ties, same_wide):
    rng, held, told = np.random.default_rng(cells), np.zeros(2), 0
    for _ in range(REPETITIONS):
        pair = paired(rng, cells, ties, same_wide)
        gap, share = difference(pair), share_gone(pair)
        held[0] += gap.low <= 0.03 <= gap.high
        told += share is not None
        held[1] += share is None or share.low <= 0.6 <= share.high
    assert (held / REPETITIONS >= LEAST_COVERED).all(), held
    assert told / REPETITIONS > 0.9


def test_the_interval_of_a_share_is_fiellers():
    """Normal and independent: the shares at which (after - r before)^2 is 1.96^2 of its variance."""
    rng, before, after, deviation = np.random.default_rng(0), -0.1, -0.04, 0.01
    noise = deviation * rng.normal(size=(2, 400_000))
    found = share_gone(Paired(before, after, before + noise[0], after + noise[1]))
    reach = (stats.norm.ppf(0.975) * deviation) ** 2
    ratios = np.roots([before**2 - reach, -2 * before * after, after**2 - reach])
    assert [found.low, found.high] == pytest.approx(sorted(1 - ratios), abs=0.003)


def test_pools_that_are_one_cancel_exactly():
    drawn = -0.1 + 0.01 * np.random.default_rng(0).normal(size=2000)
    pair = Paired(-0.1, -0.1, drawn, drawn)
    assert (difference(pair).low, difference(pair).high) == (0, 0)
    assert share_gone(pair).model_dump() == pytest.approx({"value": 0, "low": 0, "high": 0}, abs=1e-9)


def test_there_is_no_share_of_what_cannot_be_told_from_zero():
    noise = np.random.default_rng(0).normal(size=(2, 2000))
    assert share_gone(Paired(-0.1, -0.05, noise[0] - 0.1, noise[1] - 0.05)) is None
    assert share_gone(Paired(0.0, -0.05, noise[0], noise[1])) is None


# Subsets.


def test_over_subsets_is_students_and_members_alone_are_narrower_where_data_vary():
    rng, held, beyond = np.random.default_rng(0), np.zeros(2), []
    for _ in range(2000):
        values = 1.0 + 0.05 * rng.normal(size=3) + 0.01 * rng.normal(size=3)
        errors = [[Variance(0.01**2 * rng.chisquare(7) / 7, 7)] for _ in range(3)]
        found = over_subsets(values, errors)
        expected = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
        assert (found.mean.low, found.mean.high) == pytest.approx(expected)
        held += [found.mean.low <= 1 <= found.mean.high, found.members.low <= 1 <= found.members.high]
        beyond.append(found.beyond**2)
    assert held[0] / 2000 == pytest.approx(0.95, abs=0.02)
    assert held[1] / 2000 < 0.5
    assert np.mean(beyond) == pytest.approx(0.05**2, rel=0.1)


def test_subsets_that_differ_by_members_alone_have_nothing_beyond_them():
    found = over_subsets(np.array([1.0, 1.001]), [[Variance(0.01, 7)], [Variance(0.01, 7)]])
    assert found.beyond == 0


def test_a_pool_of_one_gives_subsets_no_interval_over_members():
    found = over_subsets(np.array([1.0, 1.1]), [None, [Variance(0.01, 7)]])
    assert (found.members.low, found.beyond) == (None, None)
    assert found.mean.low is not None
