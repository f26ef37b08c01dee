"""What more members are worth, against simulated observations and brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from ensembudget.prediction.law import fit_plane
from ensembudget.prediction.plane import CORRELATION, checked
from ensembudget.prediction.pools import curves_of
from ensembudget.prediction.proposals import TrainableWidth, affordable, extended, proposals, value_of

from .planes import COARSE
from .worlds import CANDIDATES, GRID, KINDS, MOST, WIDTHS, widths_of, world


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread():
    """Matrices are small here: more threads only wait for one another."""
    with threadpool_limits(1):
        yield


def drawn(mean, covariance, count=40_000, seed=0):
    """Draws whose sample moments are these exactly, (place, draw)."""
    rng, size = np.random.default_rng(seed), len(mean)
    values = rng.standard_normal((size, count))
    values -= values.mean(1, keepdims=True)
    whitened = np.linalg.solve(np.linalg.cholesky(values @ values.T / count), values)
    return np.array(mean)[:, None] + np.linalg.cholesky(covariance) @ whitened


def gained(mean, covariance, candidates, noise, count=1_000_000, seed=1) -> tuple[float, float]:
    """By how much CNLL of the choice falls when the other places are measured first, and its standard error.

    Truths and measurements are drawn, the choice is made from what is expected after them, and what counts is
    the truth of what was chosen.
    """
    rng, places = np.random.default_rng(seed), len(noise)
    truth = np.array(mean)[:, None] + np.linalg.cholesky(covariance) @ rng.standard_normal((len(mean), count))
    seen = truth[candidates:] + np.linalg.cholesky(noise) @ rng.standard_normal((places, count))
    across, own = covariance[:candidates, candidates:], covariance[candidates:, candidates:] + noise
    off = seen - np.array(mean)[candidates:, None]
    after = np.array(mean)[:candidates, None] + across @ np.linalg.inv(own) @ off
    chosen = truth[after.argmin(0), np.arange(count)]
    gain = truth[np.argmin(mean[:candidates])] - chosen
    return float(gain.mean()), float(gain.std() / count**0.5)


CASES = {
    "equal means": ([1.0, 1.0], [[1.0, 0.2], [0.2, 1.0]], [0.8, 0.1], 0.5),
    "one behind": ([1.0, 1.4], [[1.0, 0.3], [0.3, 0.5]], [0.2, 0.6], 0.2),
    "the other behind": ([2.0, 1.5], [[0.6, 0.1], [0.1, 0.8]], [0.5, -0.3], 0.4),
    "noisy": ([1.0, 1.2], [[1.0, 0.0], [0.0, 1.0]], [0.9, 0.0], 4.0),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_of_two_splits_a_proposal_is_worth_what_choosing_after_it_gains(case):
    mean, covariance, shared, noise = case
    whole = np.block([[np.array(covariance), np.array(shared)[:, None]], [np.array(shared)[None], np.eye(1)]])
    means, spread = [*mean, 0.7], np.array([[noise]])
    values = drawn(means, whole)
    found = value_of(values[:2], values[2:], spread)
    value, error = gained(means, whole, 2, spread)
    assert found == pytest.approx(value, abs=4 * error)
    assert error < 0.03 * value


def test_a_measurement_at_several_places_is_worth_what_choosing_after_all_of_them_gains():
    rng = np.random.default_rng(3)
    root = rng.normal(size=(5, 5))
    whole, noise = (
        root @ root.T / 5 + 0.1 * np.eye(5),
        np.array([[0.4, 0.2, 0.1], [0.2, 0.3, 0], [0.1, 0, 0.5]]),
    )
    means = [1.0, 1.1, 0.0, 0.0, 0.0]
    values = drawn(means, whole)
    value, error = gained(means, whole, 2, noise)
    assert value_of(values[:2], values[2:], noise) == pytest.approx(value, abs=4 * error)
    assert error < 0.03 * value


def test_a_measurement_that_shows_all_is_worth_the_whole_loss_of_a_wrong_choice():
    gap, spread = 0.3, 0.8
    values = drawn([1.0, 1.0 + gap], [[0.3, 0.0], [0.0, spread**2 - 0.3]])
    shown = values[:1] - values[1:]
    # The mean of what a normal variable of mean -gap has above zero.
    loss = spread * norm.pdf(gap / spread) - gap * norm.cdf(-gap / spread)
    found = value_of(values, shown, np.array([[1e-9]]))
    assert found == pytest.approx(loss, rel=1e-3)
    assert found == pytest.approx((values[0] - values.min(0)).mean(), rel=0.02)


def test_a_measurement_at_what_no_split_depends_on_is_worth_nothing():
    values = drawn([1.0, 1.0, 1.0], np.eye(3))
    beside = value_of(values[:2], values[2:], np.array([[0.1]]))
    assert beside < 1e-6
    assert value_of(values[:2], values[:1], np.array([[0.1]])) > 0.2


def test_a_measurement_at_what_all_splits_share_is_worth_nothing():
    """It tells how low CNLL is, and nothing of which is lowest."""
    together = np.block([[np.ones((2, 2)) + 0.1 * np.eye(2), np.ones((2, 1))], [np.ones((1, 3))]])
    values = drawn([1.0, 1.0, 1.0], together + 1e-9 * np.eye(3))
    assert value_of(values[:2], values[2:], np.array([[0.01]])) < 1e-3


@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_a_measurement_is_never_worth_less_than_nothing_nor_more_for_more_noise(seed, candidates, places):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(candidates + places, candidates + places)) @ rng.normal(
        size=(candidates + places, 200)
    )
    chosen, seen = values[:candidates] + rng.normal(size=(candidates, 1)), values[candidates:]
    root = rng.normal(size=(places, places))
    noise = root @ root.T + 0.01 * np.eye(places)
    worths = [value_of(chosen, seen, times * noise) for times in (0.1, 0.5, 1, 2, 10, 1e9)]
    assert all(worth >= 0 for worth in worths)
    assert all(one >= other - 1e-9 for one, other in itertools.pairwise(worths))
    assert worths[-1] < 1e-3


@given(st.integers(0, 10**6), st.integers(3, 6))
@settings(max_examples=30, deadline=None)
def test_rivals_are_added_up_which_is_no_less_than_what_is_gained(seed, candidates):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(candidates + 1, candidates + 1))
    covariance, noise = root @ root.T, np.array([[0.3]])
    means = [*rng.normal(size=candidates), 0.0]
    values = drawn(means, covariance, 5000)
    found, best = value_of(values[:-1], values[-1:], noise), int(np.argmin(means[:-1]))
    pairs = [value_of(values[[best, k]], values[-1:], noise) for k in range(candidates) if k != best]
    assert found == pytest.approx(sum(pairs), rel=1e-9, abs=1e-12)
    value, error = gained(means, covariance, candidates, noise, count=50_000)
    assert found >= value - 5 * error


def test_sizes_beyond_those_measured_have_the_last_ones_spread():
    each = np.array([[4.0, 1.0], [1.0, 2.0]])
    c = CORRELATION
    b, d = 2 * c, 2 * c**2  # of the last one with those beyond it, and of two beyond it
    assert extended(each, 4) == pytest.approx(
        np.array([[4, 1, c, c], [1, 2, b, b], [c, b, 2, d], [c, b, d, 2]])
    )
    assert extended(each, 1) == pytest.approx(np.array([[4.0]]))
    assert each == pytest.approx(np.array([[4.0, 1.0], [1.0, 2.0]]))


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 5), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_a_covariance_of_more_sizes_is_still_one(seed, rank, measured, sizes):
    root = np.random.default_rng(seed).normal(size=(measured, rank))
    each = root @ root.T
    found = extended(each, sizes)
    assert found.shape == (sizes, sizes)
    assert found == pytest.approx(found.T)
    assert np.linalg.eigvalsh(found).min() >= -1e-9 * np.trace(each)
    known = min(sizes, measured)
    assert found[:known, :known] == pytest.approx(each[:known, :known])
    assert np.diag(found)[known:] == pytest.approx(np.full(sizes - known, each[-1, -1]))


@given(st.integers(0, 5), st.integers(0, 5), st.floats(-1e4, 1e4), st.floats(1, 1e4))
@settings(max_examples=100, deadline=None)
def test_no_proposal_is_of_fewer_than_one_member_nor_of_more_than_can_be_paid(trained, more, left, flops):
    count = affordable(TrainableWidth(4, 100, flops, trained, trained + more), left)
    assert (count > 0) == (more > 0 and flops <= left)
    assert 0 <= count <= more
    assert count == 0 or count * flops <= left


@pytest.fixture(scope="module")
def offered():
    """`offered(asked)` are the proposals where few members are trained of most widths."""
    here, trained = world(*KINDS["nearly even"]), {4: 2, 6: 2, 8: 3, 11: 0, 16: 1}
    known = here.known(trained)
    posterior = fit_plane(checked(curves_of(known), "plane"), COARSE)
    return trained, lambda asked: proposals(posterior, known, asked, CANDIDATES)


@pytest.mark.parametrize("left", [10.0, 16.0, 40.0, 130.0, 300.0, GRID])
def test_proposed_is_what_can_be_paid_and_is_in_the_plan(left, offered):
    trained, propose = offered
    found = propose([(one, affordable(one, left)) for one in widths_of(trained)])
    assert {one.width for one in found} == {k for k in WIDTHS if trained[k] < MOST[k] and k * k <= left}
    assert len({(one.width, one.number) for one in found}) == len(found)
    for one in found:
        assert 1 <= one.number <= MOST[one.width] - trained[one.width]
        assert one.flops == one.number * one.width**2 <= left


def test_a_width_that_is_trained_whole_is_not_proposed():
    trained = {4: 32, 6: 16, 8: 8, 11: 1, 16: 2}
    known = world(*KINDS["nearly even"]).known(trained)
    posterior = fit_plane(checked(curves_of(known), "plane"), COARSE)
    asked = [(one, affordable(one, GRID)) for one in widths_of(trained)]
    found = proposals(posterior, known, asked, CANDIDATES)
    assert {one.width for one in found} == {11}
    assert all(one.number <= 3 for one in found)


def test_more_members_of_a_width_are_worth_no_less(offered):
    trained, propose = offered
    several = [
        (one, count)
        for one in widths_of(trained)
        for count in (1, 2, 3, 6, 14)
        if one.trained + count <= one.most
    ]
    found = propose(several)
    assert [(one.width, one.number) for one in found] == [(one.width, count) for one, count in several]
    assert all(one.value >= 0 for one in found)
    assert max(one.value for one in found) > 0
    for k in WIDTHS:
        values = [one.value for one in found if one.width == k]
        assert values == sorted(values)
