"""What to train next against simulated observations, brute force, and members of a planted plane."""

import itertools
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from ensembudget.prediction import choice
from ensembudget.prediction.choice import START, Candidate, Option, _count, _extended, _looks, _value, decide
from ensembudget.prediction.law import fit_plane
from ensembudget.prediction.plane import CORRELATION, checked, columns_of, members_of

from .planes import COARSE, EACH, pool_of

SAMPLES, CLASSES = 300, 4
WIDTHS = (4, 6, 8, 11, 16)
MOST = {4: 32, 6: 16, 8: 8, 11: 4, 16: 2}
CANDIDATES = [Candidate(n, k, EACH * k * k) for n, k in ((1, 16), (2, 11), (4, 8), (8, 6), (16, 4))]
GRID = float(sum(count * k * k for k, count in MOST.items()))  # a member of width k costs k^2 operations
FIRST = (4, 4, 6, 6, 8, 8)  # two members of each of the three cheapest


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread():
    """Matrices are small here: more threads only wait for one another."""
    with threadpool_limits(1):
        yield


class World(NamedTuple):
    """Members of every width: labels, errors that all members share, and errors of each its own."""

    labels: np.ndarray
    logits: dict[int, np.ndarray]

    def known(self, trained):
        return [
            members_of(pool_of(self.logits[k][: trained[k]], self.labels, k)) for k in WIDTHS if trained[k]
        ]


def world(shared, own, seed=0) -> World:
    rng = np.random.default_rng(seed)
    labels, errors = rng.integers(CLASSES, size=SAMPLES), rng.normal(size=(SAMPLES, CLASSES))
    signal = 2 * np.eye(CLASSES)[labels]
    logits = {
        k: signal + shared(k) * errors + own(k) * rng.normal(size=(count, SAMPLES, CLASSES))
        for k, count in MOST.items()
    }
    return World(labels, {k: values.astype(np.float32) for k, values in logits.items()})


# Errors of their own average out over members; errors that all share only fall with the width.
KINDS = {
    "many members": (lambda k: 0.7, lambda k: 2.0),
    "one wide network": (lambda k: 12 / k, lambda k: 0.5),
    "nearly even": (lambda k: 0.7 + 4 / k, lambda k: 1.2 + 4 / k),
}


def options(trained=None, most=MOST) -> list[Option]:
    return [
        Option(k, EACH * k * k, float(k * k), (trained or dict.fromkeys(WIDTHS, 0))[k], most[k])
        for k in WIDTHS
    ]


def asked(trained, known=(), *, left=GRID, tolerance=0.01, confidence=0.95, most=MOST):
    return decide(
        known, options(trained, most), CANDIDATES, left=left, tolerance=tolerance, confidence=confidence
    )


@pytest.fixture
def coarse(monkeypatch):
    """A law with few exponents: a search in a second."""
    monkeypatch.setattr(choice, "fit_plane", lambda plane: fit_plane(plane, COARSE))
    monkeypatch.setattr(choice, "DRAWS", 300)


# What a look is worth.


def drawn(mean, covariance, count=40_000, seed=0):
    """Draws whose sample moments are these exactly, (place, draw)."""
    rng, size = np.random.default_rng(seed), len(mean)
    values = rng.standard_normal((size, count))
    values -= values.mean(1, keepdims=True)
    whitened = np.linalg.solve(np.linalg.cholesky(values @ values.T / count), values)
    return np.array(mean)[:, None] + np.linalg.cholesky(covariance) @ whitened


def gained(mean, covariance, candidates, noise, count=1_000_000, seed=1) -> tuple[float, float]:
    """By how much CNLL of the choice falls when one looks at the other places first, and its standard error.

    Truths and looks are drawn, the choice is made from what is expected after the look, and what counts is
    the truth of what was chosen.
    """
    rng, places = np.random.default_rng(seed), len(noise)
    truth = np.array(mean)[:, None] + np.linalg.cholesky(covariance) @ rng.standard_normal((len(mean), count))
    looks = truth[candidates:] + np.linalg.cholesky(noise) @ rng.standard_normal((places, count))
    across, own = covariance[:candidates, candidates:], covariance[candidates:, candidates:] + noise
    off = looks - np.array(mean)[candidates:, None]
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
def test_of_two_splits_a_look_is_worth_what_choosing_after_it_gains(case):
    mean, covariance, shared, noise = case
    whole = np.block([[np.array(covariance), np.array(shared)[:, None]], [np.array(shared)[None], np.eye(1)]])
    means, spread = [*mean, 0.7], np.array([[noise]])
    values = drawn(means, whole)
    found = _value(values[:2], values[2:], spread)
    value, error = gained(means, whole, 2, spread)
    assert found == pytest.approx(value, abs=4 * error)
    assert error < 0.03 * value


def test_a_look_at_several_places_is_worth_what_choosing_after_all_of_them_gains():
    rng = np.random.default_rng(3)
    root = rng.normal(size=(5, 5))
    whole, noise = (
        root @ root.T / 5 + 0.1 * np.eye(5),
        np.array([[0.4, 0.2, 0.1], [0.2, 0.3, 0], [0.1, 0, 0.5]]),
    )
    means = [1.0, 1.1, 0.0, 0.0, 0.0]
    values = drawn(means, whole)
    value, error = gained(means, whole, 2, noise)
    assert _value(values[:2], values[2:], noise) == pytest.approx(value, abs=4 * error)
    assert error < 0.03 * value


def test_a_look_that_shows_all_is_worth_the_whole_loss_of_a_wrong_choice():
    gap, spread = 0.3, 0.8
    values = drawn([1.0, 1.0 + gap], [[0.3, 0.0], [0.0, spread**2 - 0.3]])
    shown = values[:1] - values[1:]
    # The mean of what a normal variable of mean -gap has above zero.
    loss = spread * norm.pdf(gap / spread) - gap * norm.cdf(-gap / spread)
    found = _value(values, shown, np.array([[1e-9]]))
    assert found == pytest.approx(loss, rel=1e-3)
    assert found == pytest.approx((values[0] - values.min(0)).mean(), rel=0.02)


def test_a_look_at_what_no_split_depends_on_is_worth_nothing():
    values = drawn([1.0, 1.0, 1.0], np.eye(3))
    beside = _value(values[:2], values[2:], np.array([[0.1]]))
    assert beside < 1e-6
    assert _value(values[:2], values[:1], np.array([[0.1]])) > 0.2


def test_a_look_at_what_all_splits_share_is_worth_nothing():
    """It tells how low CNLL is, and nothing of which is lowest."""
    together = np.block([[np.ones((2, 2)) + 0.1 * np.eye(2), np.ones((2, 1))], [np.ones((1, 3))]])
    values = drawn([1.0, 1.0, 1.0], together + 1e-9 * np.eye(3))
    assert _value(values[:2], values[2:], np.array([[0.01]])) < 1e-3


@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_a_look_is_never_worth_less_than_nothing_nor_more_for_more_noise(seed, candidates, places):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(candidates + places, candidates + places)) @ rng.normal(
        size=(candidates + places, 200)
    )
    chosen, seen = values[:candidates] + rng.normal(size=(candidates, 1)), values[candidates:]
    root = rng.normal(size=(places, places))
    noise = root @ root.T + 0.01 * np.eye(places)
    worths = [_value(chosen, seen, times * noise) for times in (0.1, 0.5, 1, 2, 10, 1e9)]
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
    found, best = _value(values[:-1], values[-1:], noise), int(np.argmin(means[:-1]))
    pairs = [_value(values[[best, k]], values[-1:], noise) for k in range(candidates) if k != best]
    assert found == pytest.approx(sum(pairs), rel=1e-9, abs=1e-12)
    value, error = gained(means, covariance, candidates, noise, count=50_000)
    assert found >= value - 5 * error


def test_sizes_beyond_those_measured_have_the_last_ones_spread():
    each = np.array([[4.0, 1.0], [1.0, 2.0]])
    c = CORRELATION
    b, d = 2 * c, 2 * c**2  # of the last one with those beyond it, and of two beyond it
    assert _extended(each, 4) == pytest.approx(
        np.array([[4, 1, c, c], [1, 2, b, b], [c, b, 2, d], [c, b, d, 2]])
    )
    assert _extended(each, 1) == pytest.approx(np.array([[4.0]]))
    assert each == pytest.approx(np.array([[4.0, 1.0], [1.0, 2.0]]))


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 5), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_a_covariance_of_more_sizes_is_still_one(seed, rank, measured, sizes):
    root = np.random.default_rng(seed).normal(size=(measured, rank))
    each = root @ root.T
    found = _extended(each, sizes)
    assert found.shape == (sizes, sizes)
    assert found == pytest.approx(found.T)
    assert np.linalg.eigvalsh(found).min() >= -1e-9 * np.trace(each)
    known = min(sizes, measured)
    assert found[:known, :known] == pytest.approx(each[:known, :known])
    assert np.diag(found)[known:] == pytest.approx(np.full(sizes - known, each[-1, -1]))


@given(st.integers(0, 5), st.integers(0, 5), st.floats(-1e4, 1e4), st.floats(1, 1e4))
@settings(max_examples=100, deadline=None)
def test_no_look_is_at_fewer_than_one_member_nor_at_more_than_can_be_paid(trained, more, left, flops):
    one = Option(4, 100, flops, trained, trained + more)
    count = _count(one, left)
    assert (count > 0) == (more > 0 and flops <= left)
    assert 0 <= count <= more
    assert count == 0 or count * flops <= left


@pytest.fixture(scope="module")
def looks():
    """What is looked at from two members of each of the cheapest three widths, and of what."""
    here, trained = world(*KINDS["nearly even"]), {4: 2, 6: 2, 8: 3, 11: 0, 16: 1}
    known = here.known(trained)
    posterior = fit_plane(checked(columns_of(known), "plane"), COARSE)

    def look(left, some=None):
        return _looks(posterior, known, some or options(trained), CANDIDATES, left)

    return trained, look


@pytest.mark.parametrize("left", [10.0, 16.0, 40.0, 130.0, 300.0, GRID])
def test_looked_at_is_what_can_be_paid_and_is_in_the_plan(left, looks):
    trained, look = looks
    found = look(left)
    assert {one.width for one in found} == {k for k in WIDTHS if trained[k] < MOST[k] and k * k <= left}
    assert len({(one.width, one.number) for one in found}) == len(found)
    for one in found:
        assert 1 <= one.number <= MOST[one.width] - trained[one.width]
        assert one.flops == one.number * one.width**2 <= left


def test_what_is_trained_whole_is_not_looked_at():
    here = world(*KINDS["nearly even"])
    trained = {4: 32, 6: 16, 8: 8, 11: 1, 16: 2}
    known = here.known(trained)
    posterior = fit_plane(checked(columns_of(known), "plane"), COARSE)
    open_ones = [one for one in options(trained) if one.trained < one.most]
    found = _looks(posterior, known, open_ones, CANDIDATES, GRID)
    assert {one.width for one in found} == {11}
    assert all(one.number <= 3 for one in found)


def test_more_members_of_a_width_are_worth_no_less(looks, monkeypatch):
    trained, look = looks
    several = [
        (one, count)
        for one in options(trained)
        for count in (1, 2, 3, 6, 14)
        if one.trained + count <= one.most
    ]
    counts = iter([count for _, count in several])
    monkeypatch.setattr(choice, "_count", lambda one, left: next(counts))
    found = look(GRID, [one for one, _ in several])
    assert [(one.width, one.number) for one in found] == [(one.width, count) for one, count in several]
    assert all(one.value >= 0 for one in found)
    assert max(one.value for one in found) > 0
    for k in WIDTHS:
        values = [one.value for one in found if one.width == k]
        assert values == sorted(values)


# What is trained first.


def test_a_search_begins_with_the_cheapest_widths_and_the_wide_network():
    trained, found = dict.fromkeys(WIDTHS, 0), []
    for _ in range(START * 3 + 1):
        decision = asked(trained)
        assert (decision.best, decision.confidence, decision.posterior) == (None, 0, None)
        assert decision.number == 1
        assert decision.reason
        found.append(decision.width)
        trained[decision.width] += 1
    assert found == [*FIRST, 16]


def test_the_cheapest_widths_are_cheapest_by_operations_not_by_width():
    flops = {4: 9.0, 6: 8.0, 8: 7.0, 11: 1.0, 16: 2.0}
    some = [one._replace(flops=flops[one.width]) for one in options()]
    found = []
    for _ in range(6):
        decision = decide([], some, CANDIDATES, left=100, tolerance=0.01, confidence=0.95)
        found.append(decision.width)
        some = [one._replace(trained=one.trained + 1) if one.width == decision.width else one for one in some]
    assert found == [11, 11, 16, 16, 8, 8]


def test_what_is_there_already_is_not_asked_for_again():
    assert asked({4: 2, 6: 5, 8: 1, 11: 0, 16: 0}).width == 8
    assert asked({4: 2, 6: 5, 8: 2, 11: 0, 16: 0}).width == 16
    assert asked({4: 1, 6: 5, 8: 2, 11: 0, 16: 0}).width == 4


@pytest.mark.parametrize("many", range(6))
def test_a_spend_that_cannot_pay_for_a_law_ends_with_a_reason(many):
    """It stops before the member that costs more than what is left, whichever that is."""
    trained = {k: FIRST[:many].count(k) for k in WIDTHS}
    cost = float(FIRST[many] ** 2)
    assert asked(trained, left=cost).width == FIRST[many]
    stopped = asked(trained, left=cost - 1e-6)
    assert (stopped.width, stopped.number, stopped.best, stopped.posterior) == (None, 0, None, None)
    assert "spend" in stopped.reason


@pytest.mark.parametrize("most", [0, 1])
def test_a_width_of_fewer_than_two_members_carries_no_law(most):
    trained, found = dict.fromkeys(WIDTHS, 0), []
    for _ in range(START * 3 + 1):
        found.append(asked(trained, most={**MOST, 4: most}).width)
        trained[found[-1]] += 1
    assert found == [6, 6, 8, 8, 11, 11, 16]


def test_too_few_widths_that_can_have_two_members_are_told():
    decision = asked(dict.fromkeys(WIDTHS, 0), most={4: 1, 6: 16, 8: 8, 11: 0, 16: 1})
    assert (decision.width, decision.number, decision.best, decision.posterior) == (None, 0, None, None)
    assert "3 widths" in decision.reason
    assert "diverge" in decision.reason
    assert "spend" not in decision.reason


def test_a_wide_network_that_always_diverges_is_done_without(coarse):
    trained = {4: 2, 6: 2, 8: 2, 11: 0, 16: 0}
    known = world(*KINDS["nearly even"]).known(trained)
    decision = asked(trained, known, most={**MOST, 16: 0}, confidence=1 - 1e-9, tolerance=1e-6)
    assert decision.posterior is not None
    assert decision.width in (4, 6, 8, 11)


def test_a_wide_network_that_cannot_be_paid_is_done_without(coarse):
    trained = {4: 2, 6: 2, 8: 2, 11: 0, 16: 0}
    here = world(*KINDS["nearly even"])
    assert asked(trained, here.known(trained), left=256.0).width == 16
    decision = asked(trained, here.known(trained), left=255.0, confidence=0.999)
    assert decision.posterior is not None
    assert decision.width not in (None, 16)


# When it stops.


def test_a_search_stops_when_all_is_trained(coarse):
    here = world(*KINDS["nearly even"])
    decision = asked(MOST, here.known(MOST), tolerance=1e-6, confidence=1 - 1e-9)
    assert (decision.width, decision.number) == (None, 0)
    assert "every member" in decision.reason
    assert decision.best in CANDIDATES


def test_a_search_stops_when_nothing_more_can_be_paid(coarse):
    trained = {4: 2, 6: 2, 8: 2, 11: 0, 16: 1}
    known = world(*KINDS["nearly even"]).known(trained)
    sharp = {"tolerance": 1e-6, "confidence": 1 - 1e-9}
    assert asked(trained, known, left=16.0, **sharp)[3:5] == (4, 1)  # the width, and how many
    decision = asked(trained, known, left=15.9, **sharp)
    assert decision.width is None
    assert "spend" in decision.reason


def test_a_search_that_has_spent_more_than_it_may_stops(coarse):
    trained = {4: 2, 6: 2, 8: 2, 11: 0, 16: 1}
    known = world(*KINDS["nearly even"]).known(trained)
    decision = asked(trained, known, left=-100.0, tolerance=1e-6, confidence=1 - 1e-9)
    assert (decision.width, decision.number) == (None, 0)
    assert "spend" in decision.reason


def test_what_may_still_be_spent_changes_nothing_of_what_is_known(coarse):
    trained = {4: 2, 6: 2, 8: 2, 11: 0, 16: 1}
    known = world(*KINDS["nearly even"]).known(trained)
    sharp = {"tolerance": 1e-3, "confidence": 1 - 1e-9}
    several = [asked(trained, known, left=left, **sharp) for left in (-100.0, 0.0, 40.0, 300.0, GRID)]
    assert len({(one.best, one.confidence, one.loss) for one in several}) == 1
    assert [one.width is None for one in several] == [True, True, False, False, False]


def test_confidence_and_loss_are_those_of_the_draws_and_decide_whether_to_stop(coarse):
    trained = {4: 2, 6: 2, 8: 2, 11: 0, 16: 1}
    known = world(*KINDS["nearly even"]).known(trained)
    first = asked(trained, known, confidence=0.999)
    members = np.array([float(one.members) for one in CANDIDATES])
    parameters = np.array([float(one.parameters) for one in CANDIDATES])
    values = first.posterior.draws(members, parameters, count=4000, seed=5)
    place = CANDIDATES.index(first.best)
    for tolerance in (0.001, 0.02, 0.3):
        one = asked(trained, known, tolerance=tolerance, confidence=0.999)
        assert one.best == first.best
        near = (values[place] <= (1 + tolerance) * values.min(0)).mean()
        # Of 1000 draws against 4000; three standard deviations.
        assert one.confidence == pytest.approx(near, abs=3 * (0.25 / 1000 + 0.25 / 4000) ** 0.5)
        assert one.loss == pytest.approx((values[place] - values.min(0)).mean(), rel=0.5)
        below = asked(trained, known, tolerance=tolerance, confidence=one.confidence - 1e-9)
        assert (below.width, below.number) == (None, 0)
        assert "probability" in below.reason
        if one.confidence < 0.99:
            assert asked(trained, known, tolerance=tolerance, confidence=one.confidence + 1e-9).width


# Whole searches.


class Ended(NamedTuple):
    best: int | None
    spent: float
    trained: dict[int, int]
    decision: object


def searched(here: World, spend: float, *, tolerance=0.01, confidence=0.95) -> Ended:
    """A search that takes its members from pools, none twice, and watches what is asked."""
    trained, known, spent = dict.fromkeys(WIDTHS, 0), {}, 0.0
    for _ in range(sum(MOST.values()) + 1):
        decision = decide(
            [known[k] for k in sorted(known)], options(trained), CANDIDATES,
            left=spend - spent, tolerance=tolerance, confidence=confidence,
        )  # fmt: skip
        if decision.width is None:
            return Ended(decision.best and decision.best.members, spent, trained, decision)
        k = decision.width
        assert 1 <= decision.number <= MOST[k] - trained[k]
        spent += decision.number * k * k
        assert spent <= spend
        trained[k] += decision.number
        known[k] = members_of(pool_of(here.logits[k][: trained[k]], here.labels, k))
    raise AssertionError("it does not end")


def cnll(logits, labels) -> float:
    """Of the mean of the members' probabilities at the best of many temperatures."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    mean = np.log((powers / powers.sum(-1, keepdims=True)).mean(0))
    tempered = mean / np.geomspace(0.3, 5, 60)[:, None, None]
    right = tempered[:, np.arange(len(labels)), labels] - np.log(np.exp(tempered).sum(-1))
    return float(-right.mean(1).max())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("kind", "best"), [("many members", 16), ("one wide network", 1)])
def test_a_search_finds_a_clear_winner_for_a_quarter_of_the_grid(kind, best, seed, coarse):
    here = world(*KINDS[kind], seed=seed)
    measured = {one.members: cnll(here.logits[one.width][: one.members], here.labels) for one in CANDIDATES}
    assert min(measured, key=measured.get) == best
    assert sorted(measured.values())[1] > 1.2 * measured[best]
    found = searched(here, 0.25 * GRID)
    assert found.best == best
    assert found.decision.confidence >= 0.95
    assert found.spent <= 0.25 * GRID


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_a_search_that_is_never_sure_spends_what_it_may_and_no_more(share, coarse):
    here = world(*KINDS["nearly even"])
    found = searched(here, share * GRID, tolerance=1e-6, confidence=1 - 1e-9)
    left = share * GRID - found.spent
    if found.best is None:  # for the next of the first members there was too little
        assert found.decision.posterior is None
        total = np.cumsum([k * k for k in FIRST])
        assert found.spent == max([0, *total[total <= share * GRID]])
    else:
        assert all(found.trained[k] == MOST[k] for k in WIDTHS if k * k <= left)


def test_a_search_with_the_whole_law_finds_a_clear_winner():
    found = searched(world(*KINDS["many members"]), 0.25 * GRID)
    assert found.best == 16
    assert found.decision.posterior.exponents[0] > 0
