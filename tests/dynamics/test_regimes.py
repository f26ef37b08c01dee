"""Regimes of losses whose kind is known, and boundaries of sweeps whose thresholds are."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.linalg import toeplitz
from scipy.stats import t

from ensembudget.dynamics.regimes import (
    CONVERGENCE,
    DIVERGENCE,
    EQUILIBRIUM,
    FALLING,
    REGIMES,
    UNDECIDED,
    VERDICTS,
    boundaries,
    classify,
)

CLASSES = 10
ROWS = np.arange(1.0, 201.0)


def line_of(epochs, losses):
    """Over the last three quarters, by generalised sums of squares, written with matrices."""
    x, y = (np.log(column[len(epochs) // 4 :]) for column in (epochs, losses))
    count = len(x)
    design = np.column_stack([np.ones(count), x])
    onto = design @ np.linalg.inv(design.T @ design)
    residuals = y - onto @ design.T @ y
    memory = residuals[1:] @ residuals[:-1] / (residuals @ residuals)
    memory = np.clip(memory + (2 + 4 * memory) / count, 0, 0.98)
    alike = toeplitz(memory ** np.arange(count))
    left = np.eye(count) - onto @ design.T
    variance = residuals @ residuals / np.trace(left @ alike)
    error = np.sqrt(variance * (onto.T @ alike @ onto)[1, 1])
    reach = t.ppf(0.95, max(2, count * (1 - memory) / (1 + memory) - 2)) * error
    slope = (onto.T @ y)[1]
    return slope, slope - reach, slope + reach


def by_the_rule(epochs, losses, classes):
    """The rule of the module as it is written there."""
    late, (slope, low, high) = losses[len(epochs) // 2 :], line_of(epochs, losses)
    if not late.mean() < math.log(classes):
        return DIVERGENCE
    if np.median(late) < 0.01 * math.log(2) or (slope <= -0.5 and high < -0.2):
        return CONVERGENCE
    return EQUILIBRIUM if low > -0.2 else FALLING if high < 0 else UNDECIDED


def walk(rng, level, noise, memory, rows):
    """Losses whose logarithm wanders around a level and is drawn back to it."""
    logs, at = np.empty(rows), rng.normal() * noise
    for i in range(len(logs)):
        logs[i] = at
        at = memory * at + math.sqrt(1 - memory**2) * noise * rng.normal()
    return level * np.exp(logs)


# Classes.


def verdicts(losses, noise, memory=0.0, *, runs=200, rows=200):
    """How often each verdict falls on a loss of (row,) with AR(1) noise in decades."""
    rng = np.random.default_rng(0)
    epochs = np.arange(1.0, rows + 1)
    found = [
        classify(epochs, losses(epochs) * walk(rng, 1.0, noise * math.log(10), memory, rows), CLASSES).regime
        for _ in range(runs)
    ]
    return {name: found.count(name) / runs for name in VERDICTS}


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.1])
@pytest.mark.parametrize("power", [-0.8, -1.0, -2.0])
@pytest.mark.parametrize("level", [1e-6, 1e-2, 1.0, 9.0])
def test_a_loss_that_falls_as_a_power_converges(level, power, noise):
    for seed in range(20):
        shaken = np.exp(noise * np.random.default_rng(seed).normal(size=len(ROWS)))
        found = classify(ROWS, np.maximum(level * ROWS**power * shaken, 1e-8), CLASSES)
        assert found.regime == CONVERGENCE
        if level * ROWS[-1] ** power > 2e-8:  # below it there is a floor
            assert found.slope.value == pytest.approx(power, abs=max(1e-3, 3 * noise))


@pytest.mark.parametrize("power", [-0.21, -0.25, -0.3, -0.45])
@pytest.mark.parametrize("rows", [20, 200, 1000])
def test_a_clean_slow_descent_is_still_falling(power, rows):
    """t^-0.25 used to be called an equilibrium."""
    epochs = np.arange(1.0, rows + 1)
    assert classify(epochs, epochs**power, CLASSES).regime == FALLING


@pytest.mark.parametrize("power", [-0.51, -0.7, -1.5])
def test_a_clean_fast_descent_converges_long_before_it_has_fitted(power):
    assert classify(ROWS, 2 * ROWS**power, CLASSES).regime == CONVERGENCE


@pytest.mark.parametrize(("noise", "memory"), [(0.1, 0.0), (0.1, 0.9), (0.2, 0.5), (0.3, 0.0)])
@pytest.mark.parametrize("power", [-0.25, -0.7])
def test_a_noisy_descent_is_rarely_called_an_equilibrium(power, noise, memory):
    """With noise of 0.3 decades, t^-0.7 used to be called one in half the runs."""
    found = verdicts(lambda epochs: epochs**power, noise, memory)
    assert found[EQUILIBRIUM] <= 0.06
    assert found[DIVERGENCE] == 0


@pytest.mark.parametrize(("noise", "memory"), [(0.1, 0.0), (0.1, 0.9), (0.2, 0.5), (0.3, 0.0)])
def test_a_noisy_equilibrium_is_rarely_called_anything_that_falls(noise, memory):
    found = verdicts(lambda epochs: 0.3 + 0 * epochs, noise, memory)
    assert found[CONVERGENCE] <= 0.03
    assert found[FALLING] <= 0.1
    assert found[DIVERGENCE] == 0


@pytest.mark.parametrize(("noise", "memory"), [(0.1, 0.0), (0.1, 0.5), (0.2, 0.0), (0.3, 0.0)])
def test_a_thousand_rows_tell_an_equilibrium_through_the_noise(noise, memory):
    assert verdicts(lambda epochs: 0.3 + 0 * epochs, noise, memory, runs=50, rows=1000)[EQUILIBRIUM] >= 0.9


def test_noise_that_hides_a_fall_leaves_a_run_undecided():
    found = verdicts(lambda epochs: epochs**-0.25, 0.3, 0.9, runs=100)
    assert found[UNDECIDED] >= 0.7


def test_a_loss_that_falls_to_a_level_above_zero_is_an_equilibrium():
    assert classify(ROWS, 0.3 + 1 / ROWS, CLASSES).regime == EQUILIBRIUM
    assert classify(ROWS, 0.03 + 0.3 * np.exp(-ROWS / 10), CLASSES).regime == EQUILIBRIUM


@pytest.mark.parametrize("classes", [2, 10, 100, 1000])
@pytest.mark.parametrize(
    ("level", "verdict"), [(0.03, EQUILIBRIUM), (0.008, EQUILIBRIUM), (0.006, CONVERGENCE)]
)
def test_a_level_counts_as_fitted_whatever_the_number_of_classes(level, verdict, classes):
    """A stationary loss of 0.03 used to be convergence with 100 classes."""
    assert classify(ROWS, level + 0 * ROWS, classes).regime == verdict


def test_a_fitted_loss_has_converged_however_it_is_shaken():
    rng = np.random.default_rng(0)
    bursts = np.where(rng.uniform(size=len(ROWS)) < 0.05, 1.0, 0.0)
    for losses in (1e-3 * np.exp(rng.normal(size=len(ROWS))), 1e-3 + bursts):
        assert classify(ROWS, losses, CLASSES).regime == CONVERGENCE


@pytest.mark.parametrize("level", [0.03, 0.1, 1.5])
def test_a_constant_loss_is_an_equilibrium(level):
    found = classify(ROWS, np.full_like(ROWS, level), CLASSES)
    assert (found.regime, found.train_loss) == (EQUILIBRIUM, pytest.approx(level))
    assert found.slope.value == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("drift", [0.1, 0.05, -0.05, -0.1])
def test_a_slow_drift_is_an_equilibrium(drift):
    assert classify(ROWS, 0.3 * ROWS**drift, CLASSES).regime == EQUILIBRIUM


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_a_loss_at_or_above_that_of_guessing_is_divergence(classes):
    guessing = math.log(classes)
    noise = 1 + 0.05 * np.random.default_rng(0).normal(size=len(ROWS))
    for factor in (1.1, 5.0, 1e3):
        assert classify(ROWS, factor * guessing * noise, classes).regime == DIVERGENCE
    assert classify(ROWS, 0.9 * guessing * noise, classes).regime == EQUILIBRIUM


def test_a_loss_of_exactly_ln_c_is_divergence_and_one_just_below_is_not():
    level = math.log(CLASSES)
    rows = ROWS[:128]  # a mean of 64 equal numbers is that number
    assert classify(rows, np.full_like(rows, level), CLASSES).regime == DIVERGENCE
    assert classify(rows, np.full_like(rows, level * (1 - 1e-12)), CLASSES).regime == EQUILIBRIUM


def test_the_first_quarter_decides_nothing_and_the_first_half_not_on_divergence():
    found = classify(ROWS, 1 / ROWS, CLASSES)
    assert classify(ROWS, np.where(ROWS <= 50, 1e4, 1 / ROWS), CLASSES) == found
    losses = np.where(ROWS <= 100, 1 / ROWS, 1e4)
    assert classify(ROWS, losses, CLASSES).regime == DIVERGENCE
    assert classify(ROWS, losses, CLASSES).train_loss == pytest.approx(1e4)


def test_a_falling_loss_that_is_above_guessing_is_divergence():
    assert classify(ROWS, 1e6 / ROWS, CLASSES).regime == DIVERGENCE


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 50, -1])
def test_a_loss_that_is_not_finite_is_divergence(value, place):
    losses = 1 / ROWS
    losses[place] = value
    found = classify(ROWS, losses, CLASSES)
    assert found.regime == DIVERGENCE
    assert math.isnan(found.train_loss)
    assert found.slope is None


def test_a_loss_that_is_not_finite_is_divergence_after_however_few_rows():
    assert classify(ROWS[:3], np.array([2.0, 3.0, math.nan]), CLASSES).regime == DIVERGENCE


@pytest.mark.parametrize("rows", [0, 1, 2, 19])
def test_fewer_than_20_rows_say_nothing(rows):
    assert classify(ROWS[:rows], 1 / ROWS[:rows], CLASSES) is None


def test_20_rows_are_enough():
    assert classify(ROWS[:20], 1 / ROWS[:20], CLASSES).regime == CONVERGENCE


def test_a_loss_of_zero_is_no_fault():
    losses = np.where(ROWS <= 150, 1 / ROWS, 0.0)
    assert classify(ROWS, losses, CLASSES).regime == CONVERGENCE
    assert classify(ROWS, 0 * ROWS, CLASSES).regime == CONVERGENCE


def apart(epochs, losses):
    """Whether rounding cannot decide."""
    late, window = losses[len(epochs) // 2 :], len(epochs) // 4
    assume(np.log(losses[window:]).std() > 1e-6)
    slope, low, high = line_of(epochs, losses)
    assume(high - low > 1e-6)
    for value, limit in ((slope, -0.5), (high, -0.2), (low, -0.2), (high, 0)):
        assume(abs(value - limit) > 1e-6)
    assume(abs(np.median(late) / (0.01 * math.log(2)) - 1) > 1e-9)
    return True


def ends_of(found):
    return found.slope.value, found.slope.low, found.slope.high


LOGS = st.lists(st.floats(-6, 0.8), min_size=20, max_size=60)
TRENDS = st.floats(-3, 1)


@given(logs=LOGS, trend=TRENDS, damp=st.floats(0.01, 1), scale=st.floats(1e-3, 1e3))
@settings(max_examples=150, deadline=None)
def test_a_regime_is_the_rules_and_does_not_depend_on_the_unit_of_time(logs, trend, damp, scale):
    epochs = np.arange(1.0, len(logs) + 1)
    losses = np.exp(damp * np.array(logs)) * epochs**trend
    assume(apart(epochs, losses))
    assume(abs(losses[len(logs) // 2 :].mean() / math.log(CLASSES) - 1) > 1e-9)
    found = classify(epochs, losses, CLASSES)
    assert found.regime == by_the_rule(epochs, losses, CLASSES)
    assert ends_of(found) == pytest.approx(line_of(epochs, losses), rel=1e-6, abs=1e-6)
    again = classify(scale * epochs, losses, CLASSES)
    assert again.regime == found.regime
    assert again.train_loss == found.train_loss
    assert ends_of(again) == pytest.approx(ends_of(found), rel=1e-6, abs=1e-6)


@given(logs=LOGS, trend=TRENDS, damp=st.floats(0.01, 1), level=st.floats(0.05, 0.999))
@settings(max_examples=150, deadline=None)
def test_a_regime_below_guessing_does_not_depend_on_the_unit_of_loss(logs, trend, damp, level):
    epochs = np.arange(1.0, len(logs) + 1)
    losses = np.exp(damp * np.array(logs)) * epochs**trend
    late = losses[len(logs) // 2 :].mean()
    losses = losses / late * 0.5 * math.log(CLASSES)
    assume(apart(epochs, losses))
    # Where the level decides, the unit does.
    fitted = 0.01 * math.log(2)
    assume(min(1, 2 * level) * np.median(losses[len(logs) // 2 :]) > fitted)
    found = classify(epochs, losses, CLASSES)
    again = classify(epochs, losses * 2 * level, CLASSES)
    assert found.regime != DIVERGENCE
    assert again.regime == found.regime
    assert ends_of(again) == pytest.approx(ends_of(found), rel=1e-6, abs=1e-6)
    assert again.train_loss == pytest.approx(2 * level * found.train_loss)


# Boundaries.

CALM, CHAOS = [CONVERGENCE] * 2, [EQUILIBRIUM] * 2


@pytest.mark.parametrize("hidden", [FALLING, UNDECIDED])
def test_a_run_that_is_still_falling_is_on_neither_side_and_widens_the_interval(hidden):
    one, two = boundaries({1e-3: CALM, 1e-2: [hidden] * 2, 0.1: CHAOS, 1.0: [DIVERGENCE]})
    assert (one.status, one.rate.low, one.rate.high) == ("ok", 1e-3, 0.1)
    assert one.rate.value == pytest.approx(1e-2)
    assert (two.rate.low, two.rate.high) == (0.1, 1.0)
    one, _ = boundaries({1e-3: CALM, 1e-2: [CONVERGENCE, hidden], 0.1: CHAOS})
    assert (one.rate.low, one.rate.high) == (1e-3, 0.1)


def test_runs_too_slow_to_converge_below_those_that_do_take_nothing_from_the_interval():
    one, _ = boundaries({1e-5: [FALLING] * 2, 1e-4: [FALLING, CONVERGENCE], 1e-3: CALM, 1e-2: CHAOS})
    assert (one.status, one.rate.low, one.rate.high) == ("ok", 1e-3, 1e-2)
    assert one.rate.value == pytest.approx(math.sqrt(1e-5))
    one, _ = boundaries({1e-3: CALM, 1e-2: CHAOS, 0.1: [UNDECIDED, EQUILIBRIUM]})
    assert (one.status, one.rate.low, one.rate.high) == ("ok", 1e-3, 1e-2)


def test_a_run_that_is_still_falling_does_not_diverge():
    _, two = boundaries({1e-3: [FALLING], 1e-2: [UNDECIDED], 0.1: [DIVERGENCE]})
    assert (two.status, two.rate.low, two.rate.high) == ("ok", 1e-2, 0.1)


@pytest.mark.parametrize(
    ("sweep", "status"),
    [
        (
            {1e-3: CALM, 1e-2: [FALLING]},
            "above 0.001; other runs are still falling or undecided: train longer",
        ),
        (
            {1e-3: CALM, 1e-2: [CONVERGENCE, UNDECIDED]},
            "above 0.001; other runs are still falling or undecided: train longer",
        ),
        (
            {1e-3: [UNDECIDED], 1e-2: CHAOS},
            "below 0.01; other runs are still falling or undecided: train longer",
        ),
        ({1e-3: [UNDECIDED], 1e-2: [FALLING]}, "runs are still falling or undecided: train longer"),
        ({1e-3: [FALLING], 1e-2: CALM}, "above 0.01, the largest rate tried"),
        ({1e-3: CHAOS, 1e-2: [UNDECIDED]}, "below 0.001, the smallest rate tried"),
    ],
)
def test_where_one_side_is_unknown_a_sentence_says_what_is_known(sweep, status):
    one, _ = boundaries(sweep)
    assert (one.rate, one.status) == (None, status)


@given(
    runs=st.lists(st.lists(st.sampled_from(VERDICTS), min_size=1, max_size=4), min_size=1, max_size=8),
)
@settings(max_examples=300, deadline=None)
def test_no_verdict_that_is_known_lies_on_the_wrong_side_of_an_interval(runs):
    one, two = boundaries({10.0**i: verdicts for i, verdicts in enumerate(runs)})
    for boundary, wrong_below, wrong_above in (
        (one, {EQUILIBRIUM, DIVERGENCE}, {CONVERGENCE}),
        (two, {DIVERGENCE}, {*VERDICTS} - {DIVERGENCE}),
    ):
        if boundary.rate is None:
            assert boundary.status != "ok"
            continue
        assert boundary.status == "ok"
        assert boundary.rate.low < boundary.rate.value < boundary.rate.high
        for i, verdicts in enumerate(runs):
            assert not (10.0**i <= boundary.rate.low and wrong_below & {*verdicts})
            assert not (10.0**i >= boundary.rate.high and wrong_above & {*verdicts})


def sweep_of(rates, first, second, runs=1):
    """Every run at a rate below `first` converges, below `second` is in equilibrium, else diverges."""
    return {rate: [REGIMES[(rate >= first) + (rate >= second)]] * runs for rate in rates}


RATES = st.lists(
    st.integers(-60, 20).map(lambda k: 10 ** (k / 10)), min_size=2, max_size=15, unique=True
)  # fmt: skip
THRESHOLDS = st.tuples(st.floats(-7, 3), st.floats(-7, 3)).map(lambda pair: sorted(10**x for x in pair))


@given(rates=RATES, thresholds=THRESHOLDS, runs=st.integers(1, 3))
@settings(max_examples=300, deadline=None)
def test_brackets_of_a_noiseless_sweep_contain_the_threshold_between_neighbours(rates, thresholds, runs):
    found = boundaries(sweep_of(rates, *thresholds, runs))
    assert [one.between for one in found] == [
        f"{REGIMES[0]} and {REGIMES[1]}",
        f"{REGIMES[1]} and {REGIMES[2]}",
    ]
    for one, threshold in zip(found, thresholds, strict=True):
        below, above = [r for r in rates if r < threshold], [r for r in rates if r >= threshold]
        if not above:
            assert one.rate is None
            assert one.status == f"above {max(rates):g}, the largest rate tried"
        elif not below:
            assert one.rate is None
            assert one.status == f"below {min(rates):g}, the smallest rate tried"
        else:
            assert one.status == "ok"
            assert (one.rate.low, one.rate.high) == (max(below), min(above))
            assert one.rate.low < threshold <= one.rate.high
            assert one.rate.value == pytest.approx(math.sqrt(one.rate.low * one.rate.high))


def test_the_order_in_which_rates_were_tried_does_not_matter():
    sweep = sweep_of([1e-3, 1.0, 1e-2, 0.1], 5e-3, 0.5)
    assert boundaries(dict(sorted(sweep.items()))) == boundaries(sweep)


def test_a_rate_at_which_runs_disagree_widens_the_interval():
    calm, chaos = REGIMES[:2]
    sweep = {1e-3: [calm] * 3, 1e-2: [calm, calm, chaos], 1e-1: [chaos] * 3, 1.0: [chaos] * 3}
    one, _ = boundaries(sweep)
    assert (one.status, one.rate.low, one.rate.high) == ("ok", 1e-3, 1e-1)
    assert one.rate.value == pytest.approx(math.sqrt(1e-2 * 1e-1))  # most at 1e-2 are below
    sweep[1e-2] = [calm, chaos, chaos]
    one, _ = boundaries(sweep)
    assert (one.rate.low, one.rate.high) == (1e-3, 1e-1)
    assert one.rate.value == pytest.approx(math.sqrt(1e-3 * 1e-2))


def test_runs_that_disagree_at_several_rates_widen_it_over_them_all():
    calm, chaos = REGIMES[:2]
    mixed = [calm, chaos]
    rates = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]
    sweep = dict(zip(rates, [[calm] * 2, mixed, [calm] * 2, [chaos] * 2, mixed, [chaos] * 2], strict=True))
    one, _ = boundaries(sweep)
    assert (one.status, one.rate.low, one.rate.high) == ("ok", 1e-5, 1.0)
    assert one.rate.low <= one.rate.value <= one.rate.high


@given(
    runs=st.lists(st.lists(st.sampled_from(REGIMES), min_size=1, max_size=4), min_size=1, max_size=8),
)
@settings(max_examples=300, deadline=None)
def test_an_interval_has_nobody_above_below_it_and_nobody_below_above_it(runs):
    sweep = {10.0**i: regimes for i, regimes in enumerate(runs)}
    for upper, one in enumerate(boundaries(sweep), start=1):
        if one.rate is None:
            assert one.status != "ok"
            assert one.status
            continue
        assert one.status == "ok"
        assert one.rate.low < one.rate.value < one.rate.high
        ranks = {rate: [REGIMES.index(r) >= upper for r in regimes] for rate, regimes in sweep.items()}
        assert not any(any(above) for rate, above in ranks.items() if rate <= one.rate.low)
        assert all(all(above) for rate, above in ranks.items() if rate >= one.rate.high)
        # And it is the narrowest such interval.
        inner = [rate for rate in ranks if one.rate.low < rate < one.rate.high]
        if inner:
            assert any(ranks[inner[0]])
            assert not all(ranks[inner[-1]])


def test_a_regime_that_is_skipped_puts_both_boundaries_in_one_place():
    one, two = boundaries(sweep_of([1e-3, 1e-2, 1e-1], 5e-2, 5e-2))
    assert one.rate == two.rate
    assert (one.rate.low, one.rate.high) == (1e-2, 1e-1)


def test_nothing_above_is_a_sentence():
    one, two = boundaries({1e-3: [CONVERGENCE], 0.25: [CONVERGENCE]})
    assert (one.rate, two.rate) == (None, None)
    assert one.status == two.status == "above 0.25, the largest rate tried"


def test_nothing_below_is_a_sentence():
    one, two = boundaries({1e-3: [DIVERGENCE], 0.25: [DIVERGENCE] * 2})
    assert (one.rate, two.rate) == (None, None)
    assert one.status == two.status == "below 0.001, the smallest rate tried"


@pytest.mark.parametrize(
    "ends",
    [
        ([CONVERGENCE, EQUILIBRIUM], [EQUILIBRIUM] * 2),
        ([CONVERGENCE] * 2, [CONVERGENCE, EQUILIBRIUM]),
        ([CONVERGENCE, EQUILIBRIUM], [CONVERGENCE, EQUILIBRIUM]),
    ],
    ids=["smallest", "largest", "both"],
)
def test_outermost_rates_whose_runs_disagree_are_a_sentence(ends):
    one, _ = boundaries({1e-3: ends[0], 0.25: ends[1]})
    assert one.rate is None
    assert one.status == "runs on both sides at an end of the sweep: sweep further"


def test_a_single_rate_has_no_interval():
    for regime in REGIMES:
        assert all(one.rate is None and one.status for one in boundaries({0.1: [regime]}))


def test_a_boundary_is_not_said_to_be_above_every_rate_where_some_run_was_above_it():
    """A run in equilibrium at 1e-2, between rates at which all converge: no rate is known to be below it."""
    one, _ = boundaries({1e-3: [CONVERGENCE] * 2, 1e-2: [CONVERGENCE, EQUILIBRIUM], 1e-1: [CONVERGENCE] * 2})
    assert one.rate is None
    assert not one.status.startswith("above")


def test_a_boundary_is_not_said_to_be_below_every_rate_where_some_run_was_below_it():
    """The other way round: all are above at both ends, one is below in between."""
    one, _ = boundaries({1e-3: [EQUILIBRIUM] * 2, 1e-2: [CONVERGENCE, EQUILIBRIUM], 1e-1: [EQUILIBRIUM] * 2})
    assert one.rate is None
    assert not one.status.startswith("below")
