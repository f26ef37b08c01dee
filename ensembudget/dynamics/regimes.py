"""Classifies runs on the sphere into three regimes, and finds the effective learning rates between them.

The rule, on the training loss in the second half of a run:

    divergence            its mean is ln C or more: no better than guessing among C classes
    convergence           its median is below a hundredth of ln C; or it falls at least as fast as t^(-1/2):
                          a line by least squares, in log-log, through its medians over ten parts is at
                          least that steep and explains at least 7/10 of their variance
    chaotic equilibrium   neither: it fluctuates about a level above what a smaller rate would reach

Why this rule: a convergent loss falls about as 1/t, in the paper and here, and an equilibrium does not
fall, so the exponent -1/2 lies between. The variance keeps a noisy equilibrium from passing as a fall. Near
the boundary, bursts disturb runs that have fitted their data, and their loss no longer falls: the level is
for those.

Source: the regimes are those of Kodryan et al. 2022, arXiv:2209.03695, who distinguish them by eye; the rule
is this project's.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..records import Interval

REGIMES = CONVERGENCE, EQUILIBRIUM, DIVERGENCE = ("convergence", "chaotic equilibrium", "divergence")
SLOPE = -0.5
EXPLAINED = 0.7
FITTED = 0.01  # of ln C
PARTS = 10
LEAST_ROWS = 2 * PARTS


class Classified(NamedTuple):
    """A run's regime and the quantities that decided it."""

    regime: str
    train_loss: float  # mean over the second half, nats
    slope: float  # of log loss against log epoch


def classify(epochs: Array, losses: Array, classes: int) -> Classified | None:
    """The regime of one run.

    Args:
        epochs: The epochs of the records, ascending, (row,).
        losses: Training loss, nats, (row,); not finite where the run diverged.
        classes: The number of classes.

    Returns:
        The regime, or None where there are fewer than 20 rows.

    Example:
        >>> t = np.arange(1.0, 101.0)
        >>> classify(t, 1 / t, 10).regime, classify(t, 0.5 + 0 * t, 10).regime
        ('convergence', 'chaotic equilibrium')
    """
    if not np.isfinite(losses).all():
        return Classified(DIVERGENCE, math.nan, math.nan)
    if len(epochs) < LEAST_ROWS:
        return None
    half = len(epochs) // 2
    late, its = epochs[half:], losses[half:]
    mean = float(its.mean())
    parts = np.array_split(np.maximum(its, np.finfo(np.float64).tiny), PARTS)
    x = np.log([np.median(part) for part in np.array_split(late, PARTS)])
    y = np.log([np.median(part) for part in parts])
    slope = float(np.polyfit(x, y, 1)[0])
    explained = slope**2 * x.var() / y.var() if y.var() > 0 else 0.0
    guessing = math.log(classes)
    if mean >= guessing:
        return Classified(DIVERGENCE, mean, slope)
    converges = np.median(its) < FITTED * guessing or (slope <= SLOPE and explained >= EXPLAINED)
    return Classified(CONVERGENCE if converges else EQUILIBRIUM, mean, slope)


class Boundary(NamedTuple):
    """Where one regime changes to the next: an interval of rates, or why there is none."""

    between: str
    rate: Interval | None
    status: str


def boundaries(sweep: Mapping[float, Sequence[str]]) -> list[Boundary]:
    """Both boundaries of a sweep.

    The interval reaches from the largest rate at and below which all runs are in the lower regime to the
    smallest rate at and above which none is. The value is the geometric mean of the two neighbouring
    rates between which the majority of runs changes.

    Args:
        sweep: The regimes of the runs at each effective learning rate.

    Example:
        >>> runs = {1e-3: ["convergence"] * 2, 1e-2: ["convergence", "divergence"], 1.0: ["divergence"] * 2}
        >>> [(b.between, b.rate and b.rate.low, b.rate and b.rate.high) for b in boundaries(runs)]
        ... # doctest: +NORMALIZE_WHITESPACE
        [('convergence and chaotic equilibrium', 0.001, 1.0),
         ('chaotic equilibrium and divergence', 0.001, 1.0)]
    """
    return [_boundary(sweep, upper) for upper in (1, 2)]


def _boundary(sweep: Mapping[float, Sequence[str]], upper: int) -> Boundary:
    between = f"{REGIMES[upper - 1]} and {REGIMES[upper]}"
    rates = sorted(sweep)
    above = [float(np.mean([REGIMES.index(regime) >= upper for regime in sweep[rate]])) for rate in rates]
    if not any(above):
        return Boundary(between, None, f"above {rates[-1]:g}, the largest rate tried")
    if all(share == 1 for share in above):
        return Boundary(between, None, f"below {rates[0]:g}, the smallest rate tried")
    if above[0] > 0 or above[-1] < 1:
        return Boundary(between, None, "runs on both sides at an end of the sweep: sweep further")
    first = next(i for i, share in enumerate(above) if share > 0)  # anybody above
    last = len(above) - next(i for i, share in enumerate(reversed(above)) if share < 1)  # nobody below
    middle = next(i for i, share in enumerate(above) if share >= 0.5)
    value = math.sqrt(rates[middle - 1] * rates[middle])
    return Boundary(between, Interval(value=value, low=rates[first - 1], high=rates[last]), "ok")
