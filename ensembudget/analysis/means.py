"""Means over a few independent measurements, with Student's intervals."""

from collections.abc import Sequence

import numpy as np

from ..records import Interval
from ..scoring.standard_errors import Variance, interval

ANY = (-np.inf, np.inf)


def mean_of(values: Sequence[float | None], bounds: tuple[float, float] = ANY) -> Interval | None:
    """The mean, and how far it may lie from that of all possible measurements.

    Args:
        values: One a measurement; None where there is no number, and then there is no mean.
        bounds: What the mean can be.

    Returns:
        Without ends for one measurement; None for none.

    Example:
        >>> mean_of([1.0, 2.0, 3.0]).model_dump()
        {'value': 2.0, 'low': -0.484..., 'high': 4.484...}
    """
    known = [one for one in values if one is not None]
    if not known or len(known) < len(values):
        return None
    value = float(np.mean(known))
    if len(known) == 1:
        return interval(value, None)
    return interval(value, Variance(float(np.var(known, ddof=1)) / len(known), len(known) - 1.0), bounds)


def difference_of(ones: Sequence[float], others: Sequence[float]) -> Interval:
    """The mean of the others minus that of the ones; the two may spread differently.

    The degrees of freedom are Welch's and Satterthwaite's. Without ends where either has one measurement.

    Example:
        >>> difference_of([1.0, 1.2], [2.0, 2.4]).value
        1.1
    """
    value = float(np.mean(others) - np.mean(ones))
    if min(len(ones), len(others)) < 2:
        return interval(value, None)
    parts = [float(np.var(some, ddof=1)) / len(some) for some in (ones, others)]
    below = sum(p**2 / (len(some) - 1) for p, some in zip(parts, (ones, others), strict=True))
    freedom = sum(parts) ** 2 / below if below else float(len(ones) + len(others) - 2)
    return interval(value, Variance(sum(parts), freedom))
