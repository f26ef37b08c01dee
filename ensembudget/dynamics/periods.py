"""Periods of training with batch norm and weight decay: destabilisations, what lies between, and the law.

The rule for a destabilisation: the training loss has risen to ten times its lowest since the last one
ended; that one ends when the loss has fallen to a tenth of its peak. A run begins inside one, so the
first descent is none. A period is from one rise to the next.

Two presumptions about the long run are told apart by the balance B = g s / sqrt(2 r d), with s the
effective learning rate, g the root mean square of the effective gradient norm, r the learning rate and d
the weight decay. A step changes the squared norm by the factor (1 - r d)^2 + s^2 g^2, so in an equilibrium
B stays near 1. Where training is unstable B is far below 1 most of the time, the norm shrinks as
(1 - r d)^t, and short bursts make up for it; over a stationary run the mean of B^2 is then above 1, the
more so the larger the bursts (its logarithm averages to nothing).

    periodic      at least 3 destabilisations, and the median of B over the second half below 1/2
    equilibrium   the median of B within [1/2, 2]
    settling      neither: the norm is still on its way

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

FACTOR = 10.0
PERIODIC, EQUILIBRIUM, SETTLING = "periodic", "equilibrium", "settling"
PRODUCT = "learning rate x weight decay"  # what a period goes along
LEAST = 3  # destabilisations, to speak of periods
FLOOR = 1e-8  # nats: below it float32 has no loss but zero
SPREAD = 1e-6  # of logarithms: less is one value, rounded


class Destabilisation(NamedTuple):
    """One rise of the training loss: rows of the history, losses and norms."""

    calm: int  # where the loss was lowest before
    onset: int  # where it had risen tenfold
    peak: int  # where it was highest
    loss_before: float
    loss_peak: float
    norm_before: float  # lowest since the last one
    norm_after: float  # largest until it ended


def destabilisations(losses: Array, norms: Array, *, factor: float = FACTOR) -> list[Destabilisation]:
    """Every destabilisation of a run.

    Args:
        losses: Training loss at equal intervals, (row,); less than 1e-8 nats counts as that.
        norms: Norm of the invariant weights at the same times, (row,).
        factor: How many times the loss must rise, and fall again.

    Example:
        >>> losses = np.array([2, 0.1, 0.01, 0.5, 1, 0.05, 0.02, 3, 0.1])
        >>> [(d.calm, d.onset, d.peak) for d in destabilisations(losses, np.ones(9))]
        [(2, 3, 4), (6, 7, 7)]
    """
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
    """What a run of constant learning rate and weight decay comes to.

    `periods` are in steps, onset to onset. `decay` is how fast log norm falls between destabilisations,
    as a multiple of log(1 - r d), its fall without gradients; None where there is no stretch to see it.
    """

    kind: str
    destabilisations: list[Destabilisation]
    periods: Array
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
        steps: When a row was recorded, (row,), at equal intervals.
        losses: Training loss, (row,).
        norms: Of the invariant weights, (row,).
        relative_gradients: Root mean square of minibatch gradient norm over weight norm, (row,).
        learning_rate: Constant throughout.
        weight_decay: Likewise, coupled to the learning rate.
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
    """Slope of log period against the logarithm of something, with the theory's."""

    along: str
    slope: Interval
    predicted: float
    points: int


def log_slopes(learning_rates: Array, weight_decays: Array, periods: Array) -> list[LogSlope]:
    """How the period goes with learning rate and weight decay, by least squares in logarithms.

    Without gradients the norm falls as (1 - r d)^t, so the time to shrink by a given factor goes as
    1 / (r d): slope -1 along the product, and along each at fixed other. Intervals are 95%, Student's t.

    Args:
        learning_rates: Of each point, (point,).
        weight_decays: Likewise.
        periods: Mean period, steps, (point,).

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
    # Points along one line of the grid do not tell the two apart.
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
