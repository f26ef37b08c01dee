"""Periods of training with batch norm and weight decay: destabilisations, the time between them, and its law.

A destabilisation begins when the training loss has risen to ten times its lowest value since the last one
ended, and ends when the loss has fallen to a tenth of its peak. A run counts as starting inside one, so the
first descent is not a destabilisation. A period lasts from one rise to the next. The last one is cut off by
the end of the run: it counts as at least as long (`durations`).

Where the record is noisy, ten times is too little. One record is k s decades above another, with noise of s
decades in each, with the probability that a normal variable exceeds k / sqrt(2). Among n records, in calm
stretches of m, there are so many pairs that noise reaches about 2 s sqrt(ln(n m)) decades. Where that is more
than one decade, it takes the place of ten. The noise is read off second differences of the log loss: there
neither slopes nor rare jumps count. With noise of 0.3 decades and jumps of three, all periods of 40 records
are found; of those of 16 records, 3 in 100 are missed, and of 10 records, 23.

The balance B = g s / sqrt(2 r d) tells two hypotheses about the long run apart, with s the effective learning
rate, g the root mean square of the effective gradient norm, r the learning rate and d the weight decay. A
step multiplies the squared norm by (1 - r d)^2 + s^2 g^2, so in an equilibrium B stays near 1. Where training
is unstable, B is far below 1 most of the time, the norm shrinks as (1 - r d)^t, and short bursts make up for
it. The mean of B^2 over a stationary run is then above 1, and the larger the bursts, the further above,
since the mean logarithm of that factor is zero.

    periodic      at least 3 destabilisations, and the median of B over the second half is below 1/2
    equilibrium   the median of B is within [1/2, 2]
    settling      neither: the norm has not settled

Source: Lobacheva et al. 2021, arXiv:2106.15739; the rules are this project's.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from ..arrays import Array
from ..records import Interval
from .trend import FLOOR

FACTOR = 10.0
PERIODIC, EQUILIBRIUM, SETTLING = "periodic", "equilibrium", "settling"
PRODUCT = "learning rate x weight decay"  # what the period depends on, in theory
LEAST = 3  # destabilisations that make a run periodic
SPREAD = 1e-6  # of logarithms: values closer than this are equal up to rounding


class Destabilisation(NamedTuple):
    """One destabilisation: its rows in the history, its losses and norms."""

    calm: int  # the row of the lowest loss before it
    onset: int  # the row at which the loss had risen tenfold
    peak: int  # the row of the highest loss
    loss_before: float
    loss_peak: float
    norm_before: float  # lowest since the last one
    norm_after: float  # largest until it ended


def noise_of(losses: Array) -> float:
    """Standard deviation of the noise in a recorded loss, decades: a robust one, of second differences.

    Args:
        losses: At equal intervals, (row,); values below 1e-8 nats count as 1e-8.

    Example:
        >>> noise = 0.3 * np.random.default_rng(0).normal(size=1000)
        >>> round(noise_of(10 ** (noise - np.arange(1000) / 200)), 2)
        0.3
    """
    if len(losses) < 3:
        return 0.0
    turns = np.diff(np.log10(np.maximum(losses, FLOOR)), n=2)
    # The median of |x| is 0.6745 standard deviations; a second difference has the variance of six values.
    return float(np.median(np.abs(turns))) / 0.6745 / math.sqrt(6)


def least_rise(losses: Array, stretch: float) -> float:
    """The factor by which a loss must rise to destabilise: ten, or what noise alone would reach.

    Args:
        losses: At equal intervals, (row,).
        stretch: How many rows lie between destabilisations; the number of rows where there is none.

    Example:
        >>> losses = 0.1 * 10 ** (0.3 * np.random.default_rng(0).normal(size=1000))
        >>> f"{least_rise(losses, 40):.0f} {least_rise(losses, 1000):.0f}"
        '91 173'
    """
    pairs = max(len(losses) * stretch, 1)
    return max(FACTOR, 10 ** (2 * noise_of(losses) * math.sqrt(math.log(pairs))))


def destabilisations(losses: Array, norms: Array, *, factor: float | None = None) -> list[Destabilisation]:
    """The destabilisations of a run.

    Args:
        losses: Training loss at equal intervals, (row,); values below 1e-8 nats count as 1e-8.
        norms: Norm of the invariant weights at the same times, (row,).
        factor: By what factor the loss must rise, and then fall; None for `least_rise` of the losses, first
            as if there were no destabilisation, then with as many as that finds.

    Example:
        >>> losses = np.array([2, 0.1, 0.01, 0.5, 1, 0.05, 0.02, 3, 0.1])
        >>> [(d.calm, d.onset, d.peak) for d in destabilisations(losses, np.ones(9), factor=10)]
        [(2, 3, 4), (6, 7, 7)]
    """
    if factor is None:
        coarse = destabilisations(losses, norms, factor=least_rise(losses, len(losses)))
        factor = least_rise(losses, len(losses) / (len(coarse) + 1))
    losses = np.maximum(losses, FLOOR)
    found: list[Destabilisation] = []
    upset, low, peak, ended = True, 0, 0, 0
    onset = -1
    for i, loss in enumerate(losses):
        if upset:
            peak = i if loss > losses[peak] else peak
            if loss <= losses[peak] / factor:
                if onset >= 0:
                    found.append(_event(losses, norms, ended, low, onset, peak, i))
                upset, low, ended = False, i, i
        else:
            low = i if loss < losses[low] else low
            if loss >= factor * losses[low]:
                upset, onset, peak = True, i, i
    if upset and onset >= 0 and (not found or found[-1].onset != onset):
        found.append(_event(losses, norms, ended, low, onset, peak, len(losses) - 1))
    return found


def _event(
    losses: Array, norms: Array, ended: int, low: int, onset: int, peak: int, end: int
) -> Destabilisation:
    return Destabilisation(
        calm=low, onset=onset, peak=peak, loss_before=float(losses[low]), loss_peak=float(losses[peak]),
        norm_before=float(norms[ended : onset + 1].min()), norm_after=float(norms[onset : end + 1].max()),
    )  # fmt: skip


class Course(NamedTuple):
    """A run at constant learning rate and weight decay, summarised.

    `periods` are in steps, from onset to onset; `cut_off` is from the last onset to the end of the run, None
    where there is no onset. `decay` is the slope of the log norm between
    destabilisations as a multiple of log(1 - r d), its slope without gradients; None where no stretch
    between two destabilisations is long enough.
    """

    kind: str
    destabilisations: list[Destabilisation]
    periods: Array
    cut_off: float | None
    decay: float | None
    balance: float  # median of B over the second half
    balance_mean: float  # root of the mean of B^2 over it


def course(
    steps: Array,
    losses: Array,
    norms: Array,
    relative_gradients: Array,
    *,
    learning_rate: float,
    weight_decay: float,
) -> Course:
    """Periods, decay and balance of one run.

    Args:
        steps: The step of each row, at equal intervals, (row,).
        losses: Training loss, nats, (row,).
        norms: Norm of the invariant weights, (row,).
        relative_gradients: Root mean square of minibatch gradient norm over weight norm, (row,).
        learning_rate: Of the whole run.
        weight_decay: Of the whole run, coupled to the learning rate.
    """
    events = destabilisations(losses, norms)
    product = learning_rate * weight_decay
    half = len(losses) // 2
    squares = learning_rate**2 * relative_gradients[half:] ** 2 / (2 * product)
    balance = float(np.sqrt(np.median(squares)))
    kind = SETTLING
    if len(events) >= LEAST and balance < 0.5:
        kind = PERIODIC
    elif 0.5 <= balance <= 2:
        kind = EQUILIBRIUM
    return Course(
        kind=kind,
        destabilisations=events,
        periods=np.diff(steps[[event.onset for event in events]]),
        cut_off=float(steps[-1] - steps[events[-1].onset]) if events else None,
        decay=_decay(steps, norms, events, math.log1p(-product)),
        balance=balance,
        balance_mean=float(np.sqrt(squares.mean())),
    )


def _decay(steps: Array, norms: Array, events: Sequence[Destabilisation], rate: float) -> float | None:
    """Slope of log norm over the last half of each calm stretch, as a multiple of `rate`."""
    slopes = []
    for before, after in itertools.pairwise(events):
        stretch = slice((before.peak + after.onset) // 2, after.onset)
        if stretch.stop - stretch.start >= 3:
            slopes.append(np.polyfit(steps[stretch], np.log(norms[stretch]), 1)[0] / rate)
    return float(np.median(slopes)) if slopes else None


class LogSlope(NamedTuple):
    """The slope of the log period against the logarithm of a quantity, and the slope that theory predicts."""

    along: str
    slope: Interval
    predicted: float
    points: int


def log_slopes(learning_rates: Array, weight_decays: Array, periods: Array) -> list[LogSlope]:
    """How the period depends on learning rate and weight decay, by least squares in logarithms.

    Without gradients the norm falls as (1 - r d)^t, so the time to shrink by a given factor is
    proportional to 1 / (r d): the slope is -1 along the product, and along each factor with the other fixed.
    Intervals are 95%, by Student's t.

    Args:
        learning_rates: The learning rate of each point, (point,).
        weight_decays: The weight decay of each point, (point,).
        periods: The mean period of each point, steps, (point,).

    Example:
        >>> r, d = np.array([0.1, 0.1, 1, 1]), np.array([1e-3, 1e-2, 1e-3, 1e-2])
        >>> [round(law.slope.value, 3) for law in log_slopes(r, d, 1 / (r * d))]
        [-1.0, -1.0, -1.0]
    """
    rates, decays, y = np.log(learning_rates), np.log(weight_decays), np.log(periods)
    found = []
    if len(y) > 2 and np.ptp(rates + decays) > SPREAD:
        found.append(_log_slope(PRODUCT, (rates + decays)[:, None], y, 0))
    both = np.stack([rates, decays], 1)
    # Points on one line of the grid do not separate the two factors.
    if len(y) > 3 and np.linalg.matrix_rank(both - both.mean(0), tol=SPREAD) == 2:
        found.append(_log_slope("learning rate", both, y, 0))
        found.append(_log_slope("weight decay", both, y, 1))
    return found


def _log_slope(along: str, x: Array, y: Array, index: int) -> LogSlope:
    design = np.column_stack([np.ones(len(y)), x])
    solved, *_ = np.linalg.lstsq(design, y, rcond=None)
    freedom = len(y) - design.shape[1]
    variance = float(((y - design @ solved) ** 2).sum()) / freedom
    error = math.sqrt(variance * np.linalg.inv(design.T @ design)[index + 1, index + 1])
    reach = float(stdtrit(freedom, 0.975)) * error
    slope = float(solved[index + 1])
    return LogSlope(along, Interval(value=slope, low=slope - reach, high=slope + reach), -1.0, len(y))
