"""Smooth functions of 1 / T, interpolated: the axis is cut into panels of a few evenly spaced nodes each.

Panel k is the stretch from exp(k WIDTH) to exp((k + 1) WIDTH) of 1 / T. Losses are interpolated there by
the one polynomial through all nodes. It errs by as little as rounding because nothing that a loss is made
of changes faster: sums of exponentials of z / T have their zeros, as functions of a complex 1 / T, a good
third of |1 / T| away from the real axis. Where panels lie depends on no data, so that no score can depend
on what else is scored.
"""

import math

import numpy as np

from ..arrays import Array, Integers

WIDTH = 0.2  # in log(1 / T)
NODES = 12
_NEWTON_STEPS = 5  # each squares the error, which the chord between two nodes leaves below 1e-2

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
    """1 / T where a panel begins and where it ends."""
    return math.exp(panel * WIDTH), math.exp((panel + 1) * WIDTH)


def inverse_at(place: Array, panel: int) -> Array:
    """1 / T at places on a panel, counted in nodes."""
    low, high = ends(panel)
    return low + place * ((high - low) / (NODES - 1))


def place_of(inverse: Array, panel: int) -> Array:
    """Where values of 1 / T lie on a panel, counted in nodes: from 0 to NODES - 1 inside."""
    low, high = ends(panel)
    return (inverse - low) / ((high - low) / (NODES - 1))


def basis(place: Array) -> Array:
    """What each node's value counts at places on a panel: (...,) in nodes to (..., node).

    >>> basis(np.array(2.0)).nonzero()
    (array([2]),)
    """
    away = place[..., None, None] - _PLACES
    counts: Array = np.where(_OTHERS, away, 1.0).prod(-1) / _NORMS
    return counts


def bottoms(slopes: Array) -> Array:
    """Where functions whose slopes are known at the nodes stop falling.

    A Newton that cannot run away: it starts on the chord between the two nodes where the slope
    changes its sign, and stays between them.

    Args:
        slopes: (function, node).

    Returns:
        Places in nodes, (function,); the panel's lower end for what only falls or only rises.
    """
    stops = (slopes[:, :-1] < 0) & (slopes[:, 1:] >= 0)
    place = np.where(slopes[:, 0] < 0, NODES - 1.0, 0.0)
    some = stops.any(1)
    slopes, first = slopes[some], stops[some].argmax(1)
    left, right = (slopes[np.arange(len(slopes)), first + step] for step in (0, 1))
    inside = first + left / (left - right)
    # Not a matrix product, whose rounding depends on how many functions there are.
    bends = (slopes[:, None] * _SLOPES).sum(2)
    for _ in range(_NEWTON_STEPS):
        counts = basis(inside)
        step = (counts * slopes).sum(1) / (counts * bends).sum(1)
        inside = np.clip(inside - step, first, first + 1)
    place[some] = inside
    return place
