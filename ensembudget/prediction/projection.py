"""Variable projection: exponents on a grid, and for each the best coefficients that are not negative.

Source: Golub & Pereyra 1973.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np

from ..arrays import Array, Integers


class Fitted(NamedTuple):
    """The best of a grid for each of several data sets, (draw,): its node, coefficients and loss."""

    node: Integers
    coefficients: Array  # (draw, coefficient)
    loss: Array


def project(design: Array, y: Array, penalty: Array) -> Fitted:
    """Variable projection with coefficients >= 0, for many data sets at once.

    Args:
        design: Whitened, (node, point, coefficient).
        y: Whitened, (point, draw).
        penalty: Added to the squares, (node, draw).
    """
    gram = np.einsum("gpc,gpd->gcd", design, design)
    right = np.einsum("gpc,pd->gcd", design, y)
    shape = (len(design), y.shape[1])
    squares = (y * y).sum(0)
    best, which = np.broadcast_to(squares, shape).copy(), np.full(shape, -1)  # all coefficients zero
    supports = _supports(design.shape[-1])
    for number, some in enumerate(supports):
        solved = _solve(gram, right, some)
        left = squares - (solved * right[:, some]).sum(1)
        better = (left < best) & (solved >= 0).all(1)
        best[better], which[better] = left[better], number
    total = best + penalty
    node, draw = total.argmin(0), np.arange(y.shape[1])
    coefficients = np.zeros((y.shape[1], design.shape[-1]))
    for number, some in enumerate(supports):
        its = np.flatnonzero(which[node, draw] == number)
        found = _solve(gram[node[its]], right[node[its], :, its][..., None], some)
        coefficients[its[:, None], some] = found[..., 0]
    return Fitted(node, coefficients, total[node, draw])


def _supports(coefficients: int) -> list[list[int]]:
    """Every set of coefficients that may be above zero."""
    return [list(some) for r in range(coefficients) for some in combinations(range(coefficients), r + 1)]


def _solve(gram: Array, right: Array, some: list[int]) -> Array:
    """Normal equations of some coefficients: (node, coefficient, draw)."""
    part = gram[:, some][:, :, some]
    ridge = 1e-10 * np.trace(part, axis1=1, axis2=2)[:, None, None] / len(some)
    found: Array = np.linalg.solve(part + ridge * np.eye(len(some)), right[:, some])
    return found
