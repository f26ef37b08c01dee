"""Fits a law to points."""

import numpy as np

from ..arrays import Array
from ..catalog import LAWS
from ..errors import FitError
from ..records import Fit


def fit_points(m: Array, y: Array, law: str = "power_law", objective: str | None = None) -> Fit:
    """Fits a law to anybody's points.

    Args:
        m: What the law goes along (members, width, budget), (point,), positive, all different.
        y: What falls, (point,), positive, in any unit.
        law: A law's name.
        objective: What is minimised; the law's default when None.

    Returns:
        Parameters with 95% intervals, residual and status: "ok", or a sentence that refuses.

    Raises:
        FitError: Numbers that are no points of such a law; names the first.

    Example:
        >>> m = np.array([1, 2, 4, 8, 16.0])
        >>> fit = fit_points(m, 0.5 + 0.3 * m**-0.8)
        >>> fit.status, round(fit.a.value, 6), round(fit.c.value, 6)
        ('ok', -0.8, 0.5)
    """
    part = LAWS[law]
    objective = objective or part.objectives[0]
    if objective not in part.objectives:
        raise FitError(f"law {law!r} has no objective {objective!r}. Known: {', '.join(part.objectives)}.")
    m, y = np.asarray(m, np.float64), np.asarray(y, np.float64)
    if m.shape != y.shape or m.ndim != 1:
        raise FitError(f"points have shapes {m.shape} and {y.shape}; needed is one y for every x.")
    for name, values in (("x", m), ("y", y)):
        wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
        if len(wrong):
            raise FitError(f"{name} of point {wrong[0]} is {values[wrong[0]]}; a law needs numbers above 0.")
    values, counts = np.unique(m, return_counts=True)
    if len(values) < len(m):
        raise FitError(
            f"x = {values[counts > 1][0]:g} stands {counts.max()} times; give each x once, say the mean."
        )
    order = np.argsort(m)
    return part.fit(m[order], y[order], objective)
