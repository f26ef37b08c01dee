"""Intervals of statistics that choose the lowest of several means, from draws of the means' errors.

The lowest of noisy means is too low on average. Draws around the estimate are too low by about as much again,
so an interval is not where most draws lie. It is the estimate minus what the draws are off by: what would
have to be true for the estimate to be one of the draws (basic bootstrap; Davison and Hinkley 1997).
"""

import numpy as np

from ..arrays import Array
from .standard_errors import LEVEL

TAIL = (1 - LEVEL) / 2


def advantages(values: Array, wide: int, splits: list[int]) -> Array:
    """The lowest of some mean losses minus the wide network's: below zero where a split wins.

    Args:
        values: Mean losses, (split, ...).
        wide: The row of the wide network.
        splits: The rows of ensembles.

    Returns:
        (...), nats.

    Example:
        >>> advantages(np.array([1.5, 1.25, 1.75]), 0, [1, 2])
        np.float64(-0.25)
    """
    found: Array = values[splits].min(0) - values[wide]
    return found


def turned(value: Array, drawn: Array, tail: float = TAIL) -> tuple[Array, Array]:
    """The interval of each statistic by itself, (...) each.

    Args:
        value: The estimates, (...).
        drawn: What each becomes with errors added once more, (..., draw).
        tail: The share of draws beyond each end.
    """
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=-1)
    return np.minimum(2 * value - high, value), np.maximum(2 * value - low, value)


def turned_band(value: Array, drawn: Array) -> tuple[Array, Array]:
    """Intervals of several statistics that hold all at once, with probability 95%, (statistic,) each.

    All have one tail: the largest for which no more than 5% of the draws leave any interval (Beran 1988).

    Args:
        value: The estimates, (statistic,).
        drawn: (statistic, draw).
    """
    count = drawn.shape[1]
    ranks = drawn.argsort(1).argsort(1)
    furthest = np.minimum(ranks, count - 1 - ranks).min(0) / count
    return turned(value, drawn, min(TAIL, float(np.quantile(furthest, 1 - LEVEL))))
