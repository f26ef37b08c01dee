"""Classifies runs on the sphere into three regimes, and finds the effective learning rates between them.

The rule, on the training loss:

    divergence            its mean over the second half is ln C or more: no better than guessing among C
                          classes
    convergence           its median over the second half is below 0.0069 nats; or it falls, surely, and at
                          least as fast as t^(-1/2)
    chaotic equilibrium   it surely does not fall as fast as t^(-1/5): it fluctuates about a level
    still falling         it surely falls, but slowly or not surely fast: train longer
    undecided             noise hides whether it falls: train longer

The last two are not regimes: such a run may converge or have reached an equilibrium.

The slope is that of log loss against log epoch over the last three quarters of a run, with an interval that
knows the noise's memory (`trend`). "Surely" means by the end of a 90% interval, so such an answer is wrong in
about one run in twenty. Convergence by its slope: the slope is -1/2 or steeper, and the whole interval is
below -1/5. Chaotic equilibrium: the whole interval is above -1/5. Still falling: the whole interval is below
0, and neither of the two.

Why these numbers: a convergent loss falls about as 1/t, in the paper and here. As t^(-1/5) a loss halves only
when the run is 32 times as long. The last three quarters give a slope 2.4 times as exact as the second half
does, for they span a factor of four in epochs instead of two. A misclassified sample costs more than ln 2,
whatever the number of classes, so below 0.0069 nats, a hundredth of that, fewer than one training sample in
a hundred is misclassified. Near the boundary, bursts disturb runs that have fitted their data, and their loss
no longer falls: the level is for those.

How often each verdict is wrong: `benchmarks/test_coverage.py`.

Source: the regimes are those of Kodryan et al. 2022, arXiv:2209.03695, who distinguish them by eye; the rule
is this project's.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..records import Interval
from .trend import FLOOR, trend

REGIMES = CONVERGENCE, EQUILIBRIUM, DIVERGENCE = ("convergence", "chaotic equilibrium", "divergence")
OPEN = FALLING, UNDECIDED = ("still falling", "undecided")  # between convergence and equilibrium
VERDICTS = (CONVERGENCE, FALLING, UNDECIDED, EQUILIBRIUM, DIVERGENCE)
STEEP, SLOW = -0.5, -0.2  # slopes in log-log
FITTED = 0.01 * math.log(2)  # nats
CONFIDENCE = 0.9  # two one-sided tests at 5%
LEAST_ROWS = 20


class Classified(NamedTuple):
    """A run's verdict and the quantities that decided it."""

    regime: str  # one of `VERDICTS`
    train_loss: float  # mean over the second half, nats
    slope: Interval | None  # of log loss against log epoch, 90%; None where a loss is not finite


def classify(epochs: Array, losses: Array, classes: int) -> Classified | None:
    """The regime of one run, or that it is still falling, or undecided.

    Args:
        epochs: The epochs of the records, ascending, (row,).
        losses: Training loss, nats, (row,); not finite where the run diverged. Values below 1e-8 nats count
            as 1e-8.
        classes: The number of classes.

    Returns:
        The verdict, or None where there are fewer than 20 rows.

    Example:
        >>> t = np.arange(1.0, 101.0)
        >>> [classify(t, losses, 10).regime for losses in (1 / t, 0.5 + 0 * t, t**-0.25)]
        ['convergence', 'chaotic equilibrium', 'still falling']
    """
    if not np.isfinite(losses).all():
        return Classified(DIVERGENCE, math.nan, None)
    if len(epochs) < LEAST_ROWS:
        return None
    late = losses[len(epochs) // 2 :]
    asked = slice(len(epochs) // 4, None)
    slope = trend(np.log(epochs[asked]), np.log(np.maximum(losses[asked], FLOOR)), confidence=CONFIDENCE)
    mean = float(late.mean())
    if mean >= math.log(classes):
        return Classified(DIVERGENCE, mean, slope)
    return Classified(CONVERGENCE if np.median(late) < FITTED else _by_slope(slope), mean, slope)


def _by_slope(slope: Interval) -> str:
    assert slope.low is not None
    assert slope.high is not None
    if slope.value <= STEEP and slope.high < SLOW:
        return CONVERGENCE
    if slope.low > SLOW:
        return EQUILIBRIUM
    return FALLING if slope.high < 0 else UNDECIDED


class Boundary(NamedTuple):
    """Where one regime changes to the next: an interval of rates, or why there is none."""

    between: str
    rate: Interval | None
    status: str


def boundaries(sweep: Mapping[float, Sequence[str]]) -> list[Boundary]:
    """Both boundaries of a sweep.

    The interval reaches from the largest rate at which all runs are in the lower regime, with no run above
    it at a smaller rate, to the smallest rate at which all are above, with no run below at a larger one. The
    value is the geometric mean of the two rates between which the majority of runs changes.

    A run that is still falling or undecided is on neither side of the boundary between convergence and
    equilibrium: its rate can be no end of that interval, and so widens it. It does not diverge, so it is
    below the other boundary.

    Args:
        sweep: The verdicts on the runs at each effective learning rate.

    Example:
        >>> runs = {1e-3: ["convergence"], 1e-2: ["still falling"], 0.1: ["chaotic equilibrium"]}
        >>> [(b.rate and (b.rate.low, b.rate.high), b.status) for b in boundaries(runs)]
        [((0.001, 0.1), 'ok'), (None, 'above 0.1, the largest rate tried')]
    """
    return [_boundary(sweep, upper) for upper in (1, 2)]


def _boundary(sweep: Mapping[float, Sequence[str]], upper: int) -> Boundary:
    between = f"{REGIMES[upper - 1]} and {REGIMES[upper]}"
    lower = REGIMES[:1] if upper == 1 else (*REGIMES[:2], *OPEN)
    rates = sorted(sweep)
    above = [_share(sweep[rate], REGIMES[upper:]) for rate in rates]
    below = [_share(sweep[rate], lower) for rate in rates]
    first = next((i for i, share in enumerate(above) if share > 0), len(rates))  # anybody above
    last = next((i for i in reversed(range(len(rates))) if below[i] > 0), -1)  # anybody below
    lows = [i for i in range(first) if below[i] == 1]
    highs = [i for i in range(last + 1, len(rates)) if above[i] == 1]
    if not lows or not highs:
        ends = (rates[lows[-1]] if lows else None, rates[highs[0]] if highs else None)
        mixed = first < len(rates) and last >= 0 and (first == 0 if not lows else last == len(rates) - 1)
        return Boundary(between, None, _why(rates, *ends, mixed=mixed))
    right = next(i for i, share in enumerate(above) if share >= 0.5)
    left = next(i for i in reversed(range(right)) if below[i] > 0.5)
    value = math.sqrt(rates[left] * rates[right])
    return Boundary(between, Interval(value=value, low=rates[lows[-1]], high=rates[highs[0]]), "ok")


def _share(verdicts: Sequence[str], side: Sequence[str]) -> float:
    return sum(one in side for one in verdicts) / len(verdicts)


def _why(rates: Sequence[float], low: float | None, high: float | None, *, mixed: bool) -> str:
    """Why a boundary has no interval, given the rate that it is surely above, or surely below."""
    if low == rates[-1]:
        return f"above {low:g}, the largest rate tried"
    if high == rates[0]:
        return f"below {high:g}, the smallest rate tried"
    if mixed:
        return "runs on both sides at an end of the sweep: sweep further"
    known = f"above {low:g}; other " if low is not None else f"below {high:g}; other " if high else ""
    return f"{known}runs are still falling or undecided: train longer"
