"""The geometric mean of durations of which the last ones were cut off when the run ended.

A run rarely ends just when a period does. Leaving out the stretch that was cut off favours short periods: in
runs of three periods each, the mean comes out 8% too short where the logarithms of periods have a standard
deviation of 0.45, and 27% too short where it is 0.8. So a stretch that was cut off counts as a duration at
least as long (right censoring), and the mean and standard deviation of the logarithm are those of maximum
likelihood. The interval is where the profile likelihood of the mean is above a limit: the limit that gives
Student's interval when nothing is cut off.

Two whole durations are needed for an answer. In runs of less than two periods only short ones are seen whole,
so there the mean is still too low (by 9 to 29% in runs of 1.5 periods); the interval is wide enough to cover.

Source: Lawless 2003, Statistical Models and Methods for Lifetime Data, 2nd edition, section 5.3. Student's
limit is this project's; what it covers: `benchmarks/test_coverage.py`.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import log_ndtr, stdtrit

from ..arrays import Array
from ..records import Interval

LEAST = 2  # whole durations from which a spread can be told
EQUAL = 1e-6  # of logarithms: closer than this durations are equal up to rounding


def geometric_mean(whole: Array, cut_off: Array) -> Interval | None:
    """Geometric mean of log-normal durations, with its 95% interval.

    Args:
        whole: Durations seen from beginning to end, (duration,), above 0.
        cut_off: What was seen of those that had not ended, (duration,), above 0.

    Returns:
        In the unit of the durations; None where fewer than two are whole.

    Example:
        The last stretch, longer than all others, raises the mean.

        >>> whole = np.array([90.0, 110.0, 100.0, 120.0, 80.0])
        >>> for cut_off in ([], [150.0]):
        ...     found = geometric_mean(whole, np.array(cut_off))
        ...     print(f"{found.value:.0f} [{found.low:.0f}, {found.high:.0f}]")
        99 [81, 121]
        108 [80, 152]
    """
    if len(whole) < LEAST:
        return None
    logs, ends = np.log(whole), np.log(cut_off)
    centre, spread = float(logs.mean()), float(logs.std())
    if spread < EQUAL and not (ends > centre + EQUAL).any():
        return Interval(value=math.exp(centre), low=math.exp(centre), high=math.exp(centre))
    spread = max(spread, EQUAL)

    def loss(mean: float) -> float:
        return _profile(mean, len(logs), centre, spread, ends)

    best = minimize_scalar(loss, bracket=(centre, centre + spread), tol=1e-6)
    quantile = float(stdtrit(len(logs) - 1, 0.975))
    limit = float(best.fun) + len(logs) / 2 * math.log1p(quantile**2 / (len(logs) - 1))
    reach = quantile * spread / math.sqrt(len(logs))
    low, high = (_crossing(loss, float(best.x), way * reach, limit) for way in (-1, 1))
    return Interval(value=math.exp(best.x), low=math.exp(low), high=math.exp(high))


def _profile(mean: float, count: int, centre: float, spread: float, ends: Array) -> float:
    """Least negative log-likelihood of a mean of logarithms, over their standard deviation."""
    square = spread**2 + (mean - centre) ** 2

    def loss(log_deviation: float) -> float:
        deviation = math.exp(log_deviation)
        seen = count * (log_deviation + square / (2 * deviation**2))
        return seen - float(log_ndtr((mean - ends) / deviation).sum())

    # Without what was cut off the best deviation is the root mean square of the whole ones about the mean.
    largest = max(math.sqrt(square), float(np.abs(ends - mean).max(initial=0)))
    bounds = math.log(square) / 2 - 2, math.log(largest) + 2
    return float(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-5}).fun)


def _crossing(loss: Callable[[float], float], best: float, step: float, limit: float) -> float:
    """Where a loss reaches a limit, on one side of its minimum."""
    while loss(best + step) < limit:
        step *= 2
    return float(brentq(lambda mean: loss(mean) - limit, best, best + step, xtol=1e-7))
