"""Fits a law to points."""

import numpy as np

from ..arrays import Array
from ..catalog import LAWS
from ..errors import FitError
from ..records import Fit


def fit_points(m: Array, y: Array, law: str = "power_law", objective: str | None = None) -> Fit:
    """Fits a law to anybody's points.

    Args:
        m: The variable (members, width, budget), (point,), positive, all different.
        y: The value that falls with m, (point,), positive, in any unit.
        law: A law's name.
        objective: The objective to minimise; None for the law's default.

    Returns:
        Parameters with 95% intervals, the residual, and a status: "ok", or why the law is refused.

    Raises:
        FitError: Numbers that are not positive and finite, or an m that occurs twice.

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
            f"x = {values[counts > 1][0]:g} occurs {counts.max()} times. Give each x once, with the mean y."
        )
    order = np.argsort(m)
    return part.fit(m[order], y[order], objective)
