"""Destabilisations against their definition, courses of simulated norms, and laws against SciPy."""

import itertools
import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit
from scipy.stats import linregress, t

from ensembudget.dynamics.periods import (
    EQUILIBRIUM,
    FACTOR,
    PERIODIC,
    SETTLING,
    Destabilisation,
    course,
    destabilisations,
    least_rise,
    log_slopes,
    noise_of,
)


def ends_at(losses, onset, factor):
    """The first row at which the loss is a factor below its highest since the onset; None where none is."""
    rows = (i for i in range(onset, len(losses)) if losses[i] <= max(losses[onset : i + 1]) / factor)
    return next(rows, None)


def by_definition(losses, norms, factor=FACTOR):
    """From the end of one destabilisation to the next, each sought over all rows anew."""
    found, end = [], ends_at(losses, 0, factor)
    while end is not None:
        since = end
        onset = next(
            (i for i in range(since, len(losses)) if losses[i] >= factor * min(losses[since : i + 1])), None
        )
        if onset is None:
            break
        end = ends_at(losses, onset, factor)
        stop = len(losses) if end is None else end + 1
        calm = min(range(since, onset), key=lambda i: losses[i])
        peak = max(range(onset, stop), key=lambda i: losses[i])
        found.append(
            Destabilisation(
                calm, onset, peak, losses[calm], losses[peak],
                min(norms[since : onset + 1]), max(norms[onset:stop]),
            )
        )  # fmt: skip
    return found


# Steps of which none makes ten, nor nearly: rounding decides nothing.
LOSSES = st.lists(st.integers(-20, 20), min_size=1, max_size=60).map(
    lambda powers: np.exp(0.37 * np.array(powers))
)


@given(losses=LOSSES, seed=st.integers(0, 1000))
@settings(max_examples=400, deadline=None)
def test_destabilisations_are_what_the_definition_finds(losses, seed):
    norms = np.random.default_rng(seed).uniform(1, 2, len(losses))
    assert destabilisations(losses, norms, factor=FACTOR) == by_definition(losses, norms)


@given(losses=LOSSES, scale=st.floats(1e-2, 1e200))
@settings(max_examples=200, deadline=None)
def test_the_unit_of_loss_changes_nothing_above_the_floor(losses, scale):
    norms = np.linspace(1, 2, len(losses))
    one, two = (destabilisations(values, norms, factor=FACTOR) for values in (losses, scale * losses))
    assert [event[:3] for event in two] == [event[:3] for event in one]
    assert [event[5:] for event in two] == [event[5:] for event in one]
    for before, after in zip(one, two, strict=True):
        assert after[3:5] == pytest.approx((scale * before.loss_before, scale * before.loss_peak), rel=1e-12)


@given(losses=LOSSES, factor=st.floats(1.5, 100))
@settings(max_examples=100, deadline=None)
def test_another_factor_is_taken_at_its_word(losses, factor):
    norms = np.ones(len(losses))
    assert destabilisations(losses, norms, factor=factor) == by_definition(losses, norms, factor)


@given(losses=LOSSES)
@settings(max_examples=200, deadline=None)
def test_destabilisations_are_in_order_and_as_high_as_they_must_be(losses):
    found = destabilisations(losses, np.ones(len(losses)), factor=FACTOR)
    for event in found:
        assert event.calm < event.onset <= event.peak
        assert event.loss_peak >= losses[event.onset] >= FACTOR * event.loss_before
    for one, other in itertools.pairwise(found):
        assert one.peak < other.calm


def sawtooth(lengths, low=1e-3, high=1.0):
    """A first descent and then teeth: each a jump to `high` and a geometric fall to `low`."""
    return np.concatenate([np.geomspace(high, low, length) for length in lengths])


@pytest.mark.parametrize("lengths", [[50, 40, 60, 30], [8, 5, 5, 5, 90], [100, 100]])
@pytest.mark.parametrize("noise", [1.0, 1.3])
def test_the_jumps_of_a_sawtooth_are_found_where_they_are(lengths, noise):
    rng = np.random.default_rng(0)
    losses = sawtooth(lengths) * noise ** rng.uniform(-1, 1, sum(lengths))
    jumps = np.cumsum(lengths)[:-1]
    norms = np.arange(float(len(losses)))
    found = destabilisations(losses, norms)
    assert [event.onset for event in found] == jumps.tolist()
    for event in found:
        assert event.onset - 8 <= event.calm < event.onset <= event.peak <= event.onset + 8
        assert event.loss_before == losses[event.calm] == pytest.approx(1e-3, rel=0.7)
        assert event.loss_peak == losses[event.peak] == pytest.approx(1.0, rel=0.7)


@given(logs=st.lists(st.floats(0, 0.999), min_size=2, max_size=200), descent=st.integers(0, 30))
@settings(max_examples=100, deadline=None)
def test_noise_below_the_factor_is_never_counted(logs, descent):
    """Within a factor of less than ten, after a first descent or without one."""
    losses = np.concatenate([np.geomspace(1e4, 20, descent), 10.0 ** np.array(logs)])
    assert destabilisations(losses, np.ones(len(losses))) == []


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("length", [30, 60, 300])
def test_noise_makes_no_destabilisations(length, noise):
    """Noise of 0.3 decades used to make half as many again."""
    counts, teeth = [], 1200 // length
    for seed in range(20):
        rng = np.random.default_rng(seed)
        losses = sawtooth([length] * teeth) * 10 ** (noise * rng.normal(size=length * teeth))
        counts.append(len(destabilisations(losses, np.ones(len(losses)))))
    assert np.mean(counts) == pytest.approx(teeth - 1, rel=0.05)


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.3])
def test_noise_is_measured_beside_slopes_and_jumps(noise):
    losses = sawtooth([40] * 50) * 10 ** (noise * np.random.default_rng(0).normal(size=2000))
    assert noise_of(losses) == pytest.approx(noise, rel=0.15)
    reach = 2 * noise_of(losses) * math.sqrt(math.log(2000 * 40))
    assert least_rise(losses, 40) == pytest.approx(max(10, 10**reach))


def test_without_noise_the_least_rise_is_ten():
    assert least_rise(sawtooth([100, 50, 50]), 50) == 10
    assert [least_rise(np.ones(rows), rows) for rows in (0, 1, 2, 3)] == [10] * 4


def test_the_rise_is_asked_for_the_calm_stretches_that_there_are():
    """The longer the calm, the further noise reaches: first all rows, then those between what that finds."""
    losses = sawtooth([16] * 90) * 10 ** (0.3 * np.random.default_rng(3).normal(size=1440))
    norms = np.ones(len(losses))
    coarse = destabilisations(losses, norms, factor=least_rise(losses, 1440))
    found = destabilisations(losses, norms)
    assert found == destabilisations(losses, norms, factor=least_rise(losses, 1440 / (len(coarse) + 1)))
    assert len(coarse) < len(found) <= 89


def test_a_slow_rise_counts_as_a_jump_does():
    up = np.geomspace(1e-3, 1.0, 31)  # ten times after ten rows
    losses = np.concatenate([np.geomspace(1.0, 1e-3, 20), up[1:], np.geomspace(1.0, 1e-3, 20)[1:]])
    (event,) = destabilisations(losses, np.ones(len(losses)))
    assert (event.calm, event.peak) == (19, 49)
    assert abs(event.onset - 29) <= 1  # rounding decides which


@pytest.mark.parametrize("wave", [1.0, 5.0, 1e3])
def test_the_initial_descent_is_not_counted_however_it_waves(wave):
    """Up and down before it has once fallen to a tenth of its highest: it began inside one."""
    losses = np.array([1.0, 0.5, wave, 0.6 * wave, 0.3 * wave, 0.05 * wave, 0.01 * wave])
    assert destabilisations(losses, np.ones(7)) == []


@pytest.mark.parametrize("rows", [1, 2, 30])
def test_a_rise_that_does_not_end_is_counted(rows):
    losses = np.concatenate([sawtooth([20, 20]), np.linspace(0.5, 0.9, rows)])
    norms = np.concatenate([np.full(40, 1.0), np.full(rows, 3.0)])
    found = destabilisations(losses, norms)
    assert [event.onset for event in found] == [20, 40]
    assert found[-1].peak == 39 + rows
    assert found[-1].loss_peak == losses[-1]
    assert (found[-1].norm_before, found[-1].norm_after) == (1.0, 3.0)


def test_a_run_that_never_falls_to_a_tenth_has_none():
    assert destabilisations(np.array([2.0, 1.0, 3.0, 2.5, 0.4]), np.ones(5)) == []
    assert destabilisations(np.array([2.0]), np.ones(1)) == []
    assert destabilisations(np.array([]), np.array([])) == []


def test_norms_before_and_after_are_the_lowest_since_the_last_and_the_largest_until_it_ends():
    losses = np.array([1.0, 0.1, 0.1, 0.1, 2.0, 1.0, 0.15, 0.1, 5.0, 0.2])
    norms = np.array([9.0, 5.0, 3.0, 4.0, 4.5, 8.0, 7.0, 2.0, 6.0, 6.5])
    first, second = destabilisations(losses, norms, factor=FACTOR)
    assert (first.onset, first.peak, second.onset, second.peak) == (4, 4, 8, 8)
    assert (first.norm_before, first.norm_after) == (3.0, 8.0)
    assert (second.norm_before, second.norm_after) == (2.0, 6.5)


# Courses.


class Simulated(NamedTuple):
    """What a history has, and the steps at which bursts began."""

    steps: np.ndarray
    losses: np.ndarray
    norms: np.ndarray
    relative: np.ndarray
    bursts: list[int]

    def course(self, rate, decay):
        return course(
            self.steps, self.losses, self.norms, self.relative, learning_rate=rate, weight_decay=decay
        )


def simulated(rate, decay, gradient, *, rows, every=10, norm=1.0):
    """Rows of the exact dynamics of a norm.

    `gradient(step, norm)` is the effective gradient's norm, a loss, and whether a burst began. A row has
    the loss and the root mean square of gradient over weight along its steps, and the norm at their end.
    """
    table, bursts, squared = [], [], norm**2
    for row in range(rows):
        losses, relative = [], []
        for step in range(row * every, (row + 1) * every):
            effective, loss, began = gradient(step, math.sqrt(squared))
            bursts += [step] * began
            losses.append(loss)
            relative.append((effective / squared) ** 2)
            squared = (1 - rate * decay) ** 2 * squared + rate**2 * effective**2 / squared
        table.append(
            ((row + 1) * every, np.mean(losses), math.sqrt(squared), math.sqrt(np.mean(relative)))
        )  # fmt: skip
    return Simulated(*np.array(table).T, bursts)


def bursting(low, high, burst, *, calm=0.0, noise=0.0, seed=0):
    """No gradient while the norm falls to `low`, then a large one until it is `high`."""
    state, rng = {"burst": False}, np.random.default_rng(seed)

    def gradient(step, norm):
        began = not state["burst"] and norm < low * math.exp(noise * rng.normal())
        state["burst"] = began or (state["burst"] and norm < high)
        return (burst if state["burst"] else calm), (1.0 if state["burst"] else 1e-3), began

    return gradient


@pytest.mark.parametrize(("rate", "decay"), [(0.1, 1e-2), (1.0, 1e-3), (0.03, 0.1)])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_constant_gradients_lead_to_an_equilibrium(rate, decay, noise):
    rng = np.random.default_rng(0)

    def gradient(step, norm):
        return 2.0 * math.exp(noise * rng.normal()), 0.5 * math.exp(0.2 * rng.normal()), False

    # From 5 / (rate x decay) steps on the start is forgotten.
    run = simulated(rate, decay, gradient, rows=1200, norm=3.0)
    found = run.course(rate, decay)
    assert found.kind == EQUILIBRIUM
    assert found.balance == pytest.approx(1, abs=0.03)
    assert found.balance_mean == pytest.approx(1, abs=0.03)
    assert found.destabilisations == []
    assert len(found.periods) == 0
    assert found.decay is None
    # The equilibrium itself: rate / norm^2 x gradient = sqrt(2 rate x decay).
    if not noise:
        assert rate / run.norms[-1] ** 2 * 2.0 == pytest.approx(math.sqrt(2 * rate * decay), rel=0.01)


@pytest.mark.parametrize("jumps", [2, 3])
@pytest.mark.parametrize("product", [1e-5, 1e-3])
def test_without_gradients_the_norm_falls_as_it_must_and_is_settling(product, jumps):
    """However the loss behaves: with three rises it would be called periodic, with two it is not."""
    rows = sawtooth([60] * (jumps + 1))
    run = simulated(1.0, product, lambda step, norm: (0.0, rows[step // 10], False), rows=len(rows))
    found = run.course(1.0, product)
    assert found.decay == pytest.approx(1, rel=1e-9)
    assert len(found.destabilisations) == jumps
    assert found.periods == pytest.approx(np.full(jumps - 1, 600.0))
    assert (found.balance, found.balance_mean) == (0, 0)
    assert found.kind == (PERIODIC if jumps == 3 else SETTLING)


def test_the_last_stretch_is_cut_off_by_the_end_of_the_run():
    rows = sawtooth([60, 60, 60, 25])
    steps = 10.0 * np.arange(1, len(rows) + 1)
    found = course(steps, rows, np.ones(205), np.ones(205), learning_rate=1.0, weight_decay=1e-3)
    assert found.periods.tolist() == [600, 600]
    assert found.cut_off == 240  # the rise was seen at row 181 of 205
    calm = course(steps, 1 / steps, np.ones(205), np.ones(205), learning_rate=1.0, weight_decay=1e-3)
    assert (len(calm.periods), calm.cut_off) == (0, None)


def test_a_norm_that_falls_without_any_rise_of_loss_is_settling_and_has_no_decay():
    run = simulated(1.0, 1e-4, lambda step, norm: (0.0, 1.0 / (step + 1), False), rows=100)
    found = run.course(1.0, 1e-4)
    assert (found.kind, found.decay, found.destabilisations) == (SETTLING, None, [])


@pytest.mark.parametrize("excess", [0.05, 0.3, 3.0, 20.0])
def test_a_norm_far_from_its_equilibrium_is_settling_until_the_balance_is_within_two(excess):
    """Gradients held at a multiple of what would balance the decay."""
    rate, decay = 0.1, 1e-4

    def gradient(step, norm):
        return excess * math.sqrt(2 * rate * decay) * norm**2 / rate, 0.5, False

    found = simulated(rate, decay, gradient, rows=50).course(rate, decay)
    assert found.balance == pytest.approx(excess, rel=1e-6)
    assert found.balance_mean == pytest.approx(excess, rel=1e-6)
    assert found.kind == SETTLING


@pytest.mark.parametrize("multiple", [0.55, 1.0, 1.9])
def test_a_balance_within_a_factor_of_two_is_an_equilibrium(multiple):
    rows, rate, decay = 40, 0.5, 1e-3
    relative = np.full(rows, multiple * math.sqrt(2 * rate * decay) / rate)
    steps = np.arange(rows, dtype=float)
    found = course(steps, np.ones(rows), np.ones(rows), relative, learning_rate=rate, weight_decay=decay)
    assert (found.kind, found.balance) == (EQUILIBRIUM, pytest.approx(multiple))


@pytest.mark.parametrize(("rate", "decay"), [(0.5, 2e-3), (1.0, 1e-3), (0.1, 3e-3)])
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_bursts_that_make_up_for_the_decay_are_periodic_with_their_period(rate, decay, noise):
    product, low, high = rate * decay, 1.0, math.exp(0.3)
    fall = 0.3 / product  # steps from high to low
    # A burst's first step moves the weights by a third of their norm; ten steps or so bring it back.
    gradient = bursting(low, high, low**2 / rate / 3, noise=noise)
    run = simulated(rate, decay, gradient, rows=int(fall), norm=high)
    found = run.course(rate, decay)
    assert found.kind == PERIODIC
    # The first burst is none: before it, the loss had fallen from nowhere.
    onsets = np.array([run.steps[event.onset] for event in found.destabilisations])
    assert len(onsets) == len(run.bursts) - 1
    assert ((onsets > run.bursts[1:]) & (onsets <= np.array(run.bursts[1:]) + 10)).all()
    assert found.periods == pytest.approx(np.diff(run.bursts[1:]), abs=10)
    if not noise:
        assert fall < found.periods.mean() < 1.1 * fall  # the burst itself, and its last step too far
    assert found.decay == pytest.approx(1, rel=1e-6)
    assert found.balance < 0.1
    # The norm's logarithm is stationary, whatever happens; half a period more or less of ten.
    assert found.balance_mean == pytest.approx(1, abs=0.15)
    for event in found.destabilisations[1:]:
        assert event.norm_before == pytest.approx(low, rel=0.1)
        assert event.norm_after == pytest.approx(high, rel=0.1)


def test_small_gradients_between_bursts_slow_the_fall_of_the_norm_by_what_they_add():
    rate, decay = 0.5, 2e-3
    product, low, high = rate * decay, 1.0, 1.1
    # At norm 1 the balance is 0.5, so the squared logarithm falls at 3/4 of its rate.
    calm = 0.5 * math.sqrt(2 * product) / rate
    run = simulated(rate, decay, bursting(low, high, 0.25, calm=calm), rows=600, norm=high)
    found = run.course(rate, decay)
    assert found.decay == pytest.approx(1 - 0.25, abs=0.05)


def test_a_periodic_course_does_not_depend_on_the_unit_of_loss():
    run = simulated(1.0, 1e-3, bursting(1.0, 1.3, 0.12), rows=300, norm=1.3)
    one, two = run.course(1.0, 1e-3), run._replace(losses=3e-5 * run.losses).course(1.0, 1e-3)
    assert one.kind == two.kind == PERIODIC
    assert np.array_equal(one.periods, two.periods)
    assert (one.decay, one.balance, one.balance_mean) == (two.decay, two.balance, two.balance_mean)


def test_balance_is_of_the_second_half_alone():
    rows, rate, decay = 50, 0.1, 1e-2
    right = math.sqrt(2 * rate * decay) / rate
    relative = np.where(np.arange(rows) < rows // 2, 1e6, right)
    found = course(
        np.arange(rows, dtype=float), np.ones(rows), np.ones(rows), relative,
        learning_rate=rate, weight_decay=decay,
    )  # fmt: skip
    assert (found.balance, found.balance_mean) == (pytest.approx(1), pytest.approx(1))


# Laws.

GRID = np.array([(r, d) for r in (0.1, 0.3, 1.0) for d in (1e-3, 3e-3, 1e-2)]).T
ALONG = ["learning rate x weight decay", "learning rate", "weight decay"]


@pytest.mark.parametrize("constant", [0.3, 1.0, 40.0])
def test_slopes_of_minus_one_are_recovered_without_noise(constant):
    found = log_slopes(*GRID, constant / (GRID[0] * GRID[1]))
    assert [law.along for law in found] == ALONG
    for law in found:
        assert (law.predicted, law.points) == (-1.0, 9)
        assert (law.slope.low, law.slope.value, law.slope.high) == pytest.approx((-1, -1, -1), abs=1e-9)


def test_slopes_along_each_are_told_apart():
    found = {law.along: law.slope.value for law in log_slopes(*GRID, GRID[0] ** -0.7 * GRID[1] ** -1.2)}
    assert found["learning rate"] == pytest.approx(-0.7)
    assert found["weight decay"] == pytest.approx(-1.2)
    assert -1.2 < found["learning rate x weight decay"] < -0.7


@pytest.mark.parametrize("seed", range(5))
def test_the_single_regression_is_scipys(seed):
    rng = np.random.default_rng(seed)
    periods = np.exp(rng.normal(scale=0.3, size=9)) / (GRID[0] * GRID[1])
    law = log_slopes(*GRID, periods)[0]
    line = linregress(np.log(GRID[0] * GRID[1]), np.log(periods))
    reach = t.ppf(0.975, 7) * line.stderr
    assert law.slope.value == pytest.approx(line.slope, rel=1e-9)
    assert law.slope.low == pytest.approx(line.slope - reach, rel=1e-9)
    assert law.slope.high == pytest.approx(line.slope + reach, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kept", [slice(None), slice(1, 8), slice(3, 8)], ids=["all", "seven", "five"])
def test_the_regression_on_both_is_scipys(seed, kept):
    rng = np.random.default_rng(seed)
    rates, decays = GRID[:, kept]
    periods = np.exp(rng.normal(scale=0.3, size=len(rates))) / (rates * decays)
    best, covariance = curve_fit(
        lambda x, a, b, c: a + b * x[0] + c * x[1], np.log([rates, decays]), np.log(periods), p0=(0, -1, -1)
    )
    for i, law in enumerate(log_slopes(rates, decays, periods)[1:], start=1):
        reach = t.ppf(0.975, len(rates) - 3) * math.sqrt(covariance[i, i])
        assert law.slope.value == pytest.approx(best[i], rel=1e-5)
        assert law.slope.high - law.slope.low == pytest.approx(2 * reach, rel=1e-4)
        assert law.points == len(rates)


@pytest.mark.parametrize("along", ALONG)
def test_intervals_cover_the_true_slope_about_95_times_in_100(along):
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        periods = 0.5 * np.exp(rng.normal(scale=0.25, size=9)) / (GRID[0] * GRID[1])
        slope = next(law.slope for law in log_slopes(*GRID, periods) if law.along == along)
        covered += slope.low <= -1 <= slope.high
    assert 0.91 <= covered / 400 <= 0.98


@pytest.mark.parametrize("points", [0, 1, 2])
def test_fewer_than_three_points_make_no_law(points):
    rates, decays = GRID[:, :points]
    assert log_slopes(rates, decays, 1 / (rates * decays)) == []


def test_three_points_make_a_law_along_the_product_alone():
    rates, decays = GRID[:, [0, 4, 5]]
    assert [law.along for law in log_slopes(rates, decays, 1 / (rates * decays))] == ALONG[:1]


@pytest.mark.parametrize("fixed", [0, 1])
def test_where_one_of_them_is_fixed_there_is_a_law_along_the_product_alone(fixed):
    grid = np.array([[0.1] * 5, np.geomspace(1e-4, 1e-2, 5)])[:: 1 if fixed == 0 else -1]
    assert [law.along for law in log_slopes(*grid, 1 / (grid[0] * grid[1]))] == ALONG[:1]


def test_points_of_equal_product_make_no_law():
    rates = np.array([0.5] * 4)
    assert log_slopes(rates, rates, np.array([10.0, 11.0, 12.0, 13.0])) == []


@pytest.mark.parametrize(
    ("rates", "decays"),
    [
        ([0.1, 1.0, 10.0], [1e-2, 1e-3, 1e-4]),
        ([0.1, 0.2, 0.4], [4e-3, 2e-3, 1e-3]),
        ([0.01, 0.1, 1.0, 10.0], [1.0, 0.1, 0.01, 1e-3]),
    ],
    ids=["by rounding", "by rounding too", "not at all"],
)
def test_points_whose_products_differ_by_rounding_or_not_at_all_make_no_law(rates, decays):
    """As along the counter-diagonal of a grid; where periods go with the product, all of it is periodic."""
    assert np.ptp(np.log(np.array(rates) * decays)) < 1e-12
    periods = np.array([900.0, 1000.0, 1100.0, 1150.0])[: len(rates)]
    assert log_slopes(np.array(rates), np.array(decays), periods) == []


def test_points_along_one_line_of_the_grid_make_no_law_along_each():
    """As along the diagonal: rate and decay rise together, and cannot be told apart."""
    rates = np.array([0.1, 0.3, 1.0, 3.0])
    found = log_slopes(rates, rates / 100, np.array([1000.0, 100.0, 12.0, 1.0]))
    assert [law.along for law in found] == ALONG[:1]
