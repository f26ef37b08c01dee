"""Laws that are straight lines in ln m once y is transformed: ordinary least squares in closed form."""

from collections.abc import Callable

import numpy as np

from ..arrays import Array
from ..records import Fit
from ._base import Points


def line(m: Array, values: Array) -> tuple[Array, Array]:
    """Slope in ln m and intercept of transformed values, (draw, point) to (draw,) each."""
    x = np.log(m)
    about = x - x.mean()
    slope = values @ about / (about @ about)
    return slope, values.mean(1) - slope * x.mean()


def factor_solver(scale: Callable[[Array], Array]) -> Callable[[Array, Array, str], Array]:
    """`solve` of a law scale(y) = ln b + a ln m, as `Law` wants it."""

    def solve(m: Array, ys: Array, objective: str) -> Array:
        slope, intercept = line(m, scale(ys))
        return np.stack([slope, np.exp(intercept), np.zeros(len(ys))], 1)

    return solve


def refused(points: Points, fit: Fit) -> str:
    assert fit.a is not None
    if fit.a.high is not None and fit.a.high >= 0:
        return "the fall cannot be told from the noise of the points"
    return ""
