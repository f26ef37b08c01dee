"""Verdicts on losses whose course is known, and periods of renewal processes whose mean is."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.signal import lfilter

from ensembudget.arrays import Array
from ensembudget.dynamics.durations import geometric_mean
from ensembudget.dynamics.periods import course, log_slopes
from ensembudget.dynamics.regimes import (
    CONVERGENCE,
    DIVERGENCE,
    EQUILIBRIUM,
    FALLING,
    UNDECIDED,
    VERDICTS,
    classify,
)
from ensembudget.tables._base import Column, Row, Table

CLASSES = 10
VERDICT_RUNS = 400
NOISES = ((0.0, 0.0), (0.1, 0.0), (0.1, 0.9), (0.3, 0.0))  # decades, lag-one correlation
EPOCHS = (200, 1000)
FALSE, SLOPE_COVERED = 0.08, 0.84  # bounds: of each false verdict, and of the slope's 90% interval


class Course(NamedTuple):
    """A loss without noise, its slope in log-log where it has one, and the verdicts that would be false."""

    name: str
    loss: Callable[[Array], Array]
    slope: float | None
    false: tuple[str, ...]


def _power(slope: float, *false: str, start: float = 1.0) -> Course:
    return Course(f"t^{slope:g}", lambda t: start * t**slope, slope, (DIVERGENCE, *false))


COURSES = (
    Course("constant 0.3", lambda t: 0.3 + 0 * t, 0.0, (DIVERGENCE, CONVERGENCE, FALLING)),
    _power(-0.05, CONVERGENCE, start=0.5),
    _power(-0.1, CONVERGENCE, start=0.5),
    _power(-0.25, CONVERGENCE, EQUILIBRIUM),
    _power(-0.5, EQUILIBRIUM),
    _power(-0.7, EQUILIBRIUM, start=2.0),
    _power(-1.0, EQUILIBRIUM, start=6.0),
    _power(-1.5, EQUILIBRIUM, start=60.0),
    Course("2 exp(-5 t / T)", lambda t: 2 * np.exp(-5 * t / t[-1]), None, (DIVERGENCE, EQUILIBRIUM)),
    Course(
        "0.001, bursts to 1 in 5%",
        lambda t: np.where(np.random.default_rng(1).uniform(size=len(t)) < 0.05, 1.0, 1e-3),
        None,
        (DIVERGENCE, EQUILIBRIUM, FALLING, UNDECIDED),
    ),
    Course(
        "constant 2 ln C",
        lambda t: 2 * math.log(CLASSES) + 0 * t,
        None,
        (CONVERGENCE, EQUILIBRIUM, FALLING, UNDECIDED),
    ),
)

VERDICT_TABLE = Table(
    "regime_verdicts",
    "Verdicts on runs whose course is known",
    (
        Column("course", "loss"),
        Column("epochs", "epochs", ",d"),
        Column("noise", "noise, decades", ".1f"),
        Column("memory", "lag-one", ".1f"),
        *(Column(name.replace(" ", "_"), name, ".2f") for name in VERDICTS),
        Column("false", "most frequent false one", ".2f"),
        Column("covered", "slope in its 90%", ".2f"),
    ),
    rules=(
        f"Share of {VERDICT_RUNS} runs (one where there is no noise) that get each verdict. Noise: of the"
        " logarithm, AR(1), its standard deviation and lag-one correlation. A"
        " constant must not be called convergence, divergence or still falling; a"
        " drift of t^-0.1 or slower not convergence or divergence; t^-0.25 none of the three regimes; what"
        " falls as t^-0.5 or faster not an equilibrium or divergence. Undecided is false only where a run has"
        f" fitted or diverged. Bound of every false verdict: {FALSE:g}.",
    ),
)


def ar1(rng: np.random.Generator, runs: int, rows: int, deviation: float, memory: float) -> Array:
    """Stationary AR(1) noise, (run, row)."""
    shocks = rng.normal(size=(runs, rows)) * math.sqrt(1 - memory**2)
    shocks[:, 0] /= math.sqrt(1 - memory**2)
    return deviation * lfilter([1.0], [1.0, -memory], shocks, axis=1)


def verdicts() -> list[Row]:
    """One row a loss, length and noise."""
    worlds = itertools.product(COURSES, EPOCHS, NOISES)
    return [_verdicts(one, epochs, *noise) for one, epochs, noise in worlds]


def _verdicts(one: Course, epochs: int, noise: float, memory: float) -> Row:
    time = np.arange(1.0, epochs + 1)
    runs = VERDICT_RUNS if noise else 1
    shaken = np.exp(ar1(np.random.default_rng(0), runs, epochs, noise * math.log(10), memory))
    found = [classify(time, one.loss(time) * factors, CLASSES) for factors in shaken]
    names = [run.regime for run in found]
    inside = [
        run.slope.low - 1e-9 <= one.slope <= run.slope.high + 1e-9 for run in found if one.slope is not None
    ]
    return {
        "course": one.name, "epochs": epochs, "noise": noise, "memory": memory,
        **{name.replace(" ", "_"): names.count(name) / runs for name in VERDICTS},
        "false": max(names.count(name) for name in one.false) / runs,
        "covered": float(np.mean(inside)) if inside and noise else None,
    }  # fmt: skip


# Periods.

PERIOD_WORLDS = 300
RUNS = 4  # of a world
RECORDS = 40  # a period
DECADES = 3.0  # from a burst's peak to the calm loss
LENGTHS = (1.5, 2.0, 3.0, 5.0, 10.0, 20.0)  # of a run, in periods
SPREADS = (0.25, 0.45, 0.8)  # of the logarithm of periods; in tables/digits-periods it is 0.3 to 0.8
NOISE = (0.0, 0.3)
LONG_ENOUGH = 3.0  # periods in a run, from which on the bias is bounded
BIAS, COVERED = 0.1, (0.9, 0.99)  # bounds

PERIOD_TABLE = Table(
    "period_lengths",
    "Periods of runs whose mean period is known",
    (
        Column("length", "run, periods", "g"),
        Column("spread", "spread of log period", ".2f"),
        Column("noise", "noise, decades", ".1f"),
        Column("found", "destabilisations found / true", ".3f"),
        Column("answered", "answered", ".2f"),
        Column("bias", "bias", "+.1%"),
        Column("bias_whole", "bias, whole periods alone", "+.1%"),
        Column("covered", "95% interval covers", ".3f"),
        Column("reach", "half-width", ".0%"),
    ),
    rules=(
        f"{PERIOD_WORLDS} worlds of {RUNS} runs. Periods are log-normal, {RECORDS} records long by their"
        " geometric mean; a run starts anywhere within one. The loss jumps to 1 at once and falls to 0.001"
        " within a few records; noise is independent from record to record. Answered: the share of worlds"
        " with two whole periods or more; bias and coverage are over those. Bias: of the geometric mean over"
        " worlds; beside it, that of whole periods alone, without what the end of a run cuts off. Half-width:"
        " median, of the logarithm.",
        f"Bounds: coverage between {COVERED[0]:g} and {COVERED[1]:g} everywhere; bias within {BIAS:.0%} in"
        f" runs of {LONG_ENOUGH:g} periods or more. In shorter runs an answer needs periods that happen to be"
        " short, so the value is too low; the interval is wide enough to cover.",
    ),
)


def periods() -> list[Row]:
    """One row a run length, spread and noise."""
    return [_periods(*world) for world in itertools.product(LENGTHS, SPREADS, NOISE)]


def _periods(length: float, spread: float, noise: float) -> Row:
    rng, truth = np.random.default_rng(0), math.log(RECORDS)
    found, whole, counts = [], [], np.zeros(2)
    for _ in range(PERIOD_WORLDS):
        periods, cut_off = [], []
        for onsets, losses in runs_of(rng, RUNS, RECORDS, spread, round(length * RECORDS), noise):
            run = summary(losses)
            counts += len(run.destabilisations), len(onsets)
            periods += run.periods.tolist()
            cut_off += [run.cut_off] if run.cut_off else []
        one = geometric_mean(np.array(periods), np.array(cut_off))
        if one is not None:
            found.append(np.log([one.value, one.low, one.high]) - truth)
            whole.append(np.log(periods).mean() - truth)
    value, low, high = np.array(found).T
    return {
        "length": length, "spread": spread, "noise": noise, "found": counts[0] / counts[1],
        "answered": len(found) / PERIOD_WORLDS,
        "bias": math.expm1(value.mean()), "bias_whole": math.expm1(float(np.mean(whole))),
        "covered": float(((low <= 0) & (high >= 0)).mean()), "reach": float(np.median(high - low)) / 2,
    }  # fmt: skip


def runs_of(
    rng: np.random.Generator, runs: int, period: float, spread: float, records: int, noise: float
) -> Iterator[tuple[Array, Array]]:
    """The records at which a run destabilises, and its losses, of each run."""
    for _ in range(runs):
        lengths = period * np.exp(spread * rng.normal(size=10 + 4 * round(records / period)))
        # A stationary start: what is left of a period that is met in proportion to its length.
        lengths[0] = period * math.exp(spread * rng.normal() + spread**2) * rng.uniform()
        onsets = np.ceil(np.cumsum(lengths)).astype(int)
        onsets = np.unique(onsets[onsets < records])
        ages = (
            np.arange(records)
            - np.concatenate([[0], onsets])[np.searchsorted(onsets, np.arange(records), "right")]
        )
        decades = -DECADES * -np.expm1(-ages / 3)
        yield onsets, 10 ** (decades + noise * rng.normal(size=records))


def summary(losses: Array, *, every: float = 1.0):
    """The course of a run of which the losses alone are known."""
    steps, ones = every * np.arange(1, len(losses) + 1), np.ones(len(losses))
    return course(steps, losses, ones, 1e-9 * ones, learning_rate=1.0, weight_decay=1e-3)


# Slopes over a grid, as that of tables/digits-periods.

GRIDS = 150
PAIRS = ((0.3, 1e-3), (0.1, 3e-3), (0.3, 3e-3), (0.1, 1e-2), (1.0, 1e-3), (0.3, 1e-2), (1.0, 3e-3))
CONSTANT = 0.75  # of period x product
STEPS, EVERY = 24_000, 16
SLOPE_NOISE, SLOPE_BIAS = (0.0, 0.1, 0.3), 0.02

SLOPE_TABLE = Table(
    "period_slopes",
    "Slopes of periods that go as 1 / (learning rate x weight decay)",
    (
        Column("along", "along"),
        Column("noise", "noise, decades", ".1f"),
        Column("bias", "mean slope + 1", "+.3f"),
        Column("bias_whole", "of whole periods alone", "+.3f"),
        Column("covered", "95% interval covers", ".3f"),
        Column("covered_whole", "of whole periods alone", ".3f"),
        Column("reach", "mean half-width", ".3f"),
    ),
    rules=(
        f"{GRIDS} grids of the seven pairs of tables/digits-periods that are periodic, with {RUNS} runs of"
        f" {STEPS:,} steps recorded every {EVERY}; log-normal periods of {CONSTANT} / (learning rate x weight"
        " decay) steps, spread 0.45. Noise in that table is 0.03 to 0.13 decades. With 0.3, 3 in 100 of the"
        " shortest periods (16 records) are missed, and the slope is too flat by what that adds to them.",
        f"Bounds, up to 0.1 decades: bias within {SLOPE_BIAS:g}, coverage at least {COVERED[0]:g}.",
    ),
)


def slopes() -> list[Row]:
    """One row a direction and noise."""
    return [row for noise in SLOPE_NOISE for row in _slopes(noise)]


def _slopes(noise: float) -> Iterator[Row]:
    rng = np.random.default_rng(0)
    rates, decays = np.array(PAIRS).T
    both = [
        list(zip(*[_means(rng, product, noise) for product in rates * decays], strict=True))
        for _ in range(GRIDS)
    ]
    found, whole = ([log_slopes(rates, decays, np.array(grid[i])) for grid in both] for i in (0, 1))
    for ours, alone in zip(zip(*found, strict=True), zip(*whole, strict=True), strict=True):
        reaches = [(one.slope.high - one.slope.low) / 2 for one in ours]
        yield {
            "along": ours[0].along, "noise": noise, "reach": float(np.mean(reaches)),
            "bias": float(np.mean([one.slope.value for one in ours])) + 1,
            "bias_whole": float(np.mean([one.slope.value for one in alone])) + 1,
            "covered": _covering(ours), "covered_whole": _covering(alone),
        }  # fmt: skip


def _means(rng: np.random.Generator, product: float, noise: float) -> tuple[float, float]:
    """The geometric mean period of one pair, and that of whole periods alone."""
    records, period = STEPS // EVERY, CONSTANT / product / EVERY
    runs = [summary(losses, every=EVERY) for _, losses in runs_of(rng, RUNS, period, 0.45, records, noise)]
    whole = np.concatenate([run.periods for run in runs])
    mean = geometric_mean(whole, np.array([run.cut_off for run in runs if run.cut_off]))
    return mean.value, float(np.exp(np.log(whole).mean()))


def _covering(laws) -> float:
    return float(np.mean([one.slope.low <= -1 <= one.slope.high for one in laws]))
