"""Smooth functions of 1 / T, interpolated: the axis is cut into panels of a few evenly spaced nodes each.

Panel k runs from exp(k WIDTH) to exp((k + 1) WIDTH) in 1 / T. On it losses are interpolated by the one
polynomial through all nodes. Its error is of the order of rounding: as functions of a complex 1 / T, the sums
of exponentials of z / T that make up a loss have no zero within a third of |1 / T| of the real axis. The
panels' places depend on no data, so no score depends on what else is scored.
"""

import math

import numpy as np

from ..arrays import Array, Integers

WIDTH = 0.2  # in log(1 / T)
NODES = 12
_NEWTON_STEPS = 5  # each squares the error, which is below 1e-2 after the chord between two nodes

_PLACES = np.arange(NODES, dtype=np.float64)
_OTHERS = ~np.eye(NODES, dtype=bool)
_DISTANCES = np.where(_OTHERS, _PLACES[:, None] - _PLACES, 1.0)
_NORMS = _DISTANCES.prod(1)
# Values at the nodes to the slopes there of the polynomial through them, per node of distance.
_SLOPES = np.where(_OTHERS, _NORMS[:, None] / _NORMS / _DISTANCES, 0.0)
_SLOPES -= np.diag(_SLOPES.sum(1))


def panel_of(inverse: Array) -> Integers:
    """The panels in which values of 1 / T lie."""
    return np.floor(np.log(inverse) / WIDTH).astype(np.int64)


def ends(panel: int) -> tuple[float, float]:
    """1 / T at a panel's two ends."""
    return math.exp(panel * WIDTH), math.exp((panel + 1) * WIDTH)


def inverse_at(place: Array, panel: int) -> Array:
    """1 / T at places on a panel, counted in nodes."""
    low, high = ends(panel)
    return low + place * ((high - low) / (NODES - 1))


def place_of(inverse: Array, panel: int) -> Array:
    """The places of values of 1 / T on a panel, counted in nodes: from 0 to NODES - 1 inside."""
    low, high = ends(panel)
    return (inverse - low) / ((high - low) / (NODES - 1))


def basis(place: Array) -> Array:
    """The weight of each node's value at places on a panel: (...,) in nodes to (..., node).

    >>> basis(np.array(2.0)).nonzero()
    (array([2]),)
    """
    away = place[..., None, None] - _PLACES
    counts: Array = np.where(_OTHERS, away, 1.0).prod(-1) / _NORMS
    return counts


def bottoms(slopes: Array) -> Array:
    """Where functions whose slopes are known at the nodes stop falling.

    Newton's method, which cannot run away: it starts on the chord between the two nodes where the
    slope changes sign, and stays between them.

    Args:
        slopes: (function, node).

    Returns:
        Places in nodes, (function,); an end of the panel for a function that only falls or only rises.
    """
    stops = (slopes[:, :-1] < 0) & (slopes[:, 1:] >= 0)
    place = np.where(slopes[:, 0] < 0, NODES - 1.0, 0.0)
    some = stops.any(1)
    slopes, first = slopes[some], stops[some].argmax(1)
    left, right = (slopes[np.arange(len(slopes)), first + step] for step in (0, 1))
    inside = first + left / (left - right)
    # Not a matrix product: its rounding depends on the number of functions.
    bends = (slopes[:, None] * _SLOPES).sum(2)
    for _ in range(_NEWTON_STEPS):
        counts = basis(inside)
        step = (counts * slopes).sum(1) / (counts * bends).sum(1)
        inside = np.clip(inside - step, first, first + 1)
    place[some] = inside
    return place
