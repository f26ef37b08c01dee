"""Fits a law to points, with intervals that carry the errors of the points.

Errors that the points may have are drawn and taken off, and the law is fitted again: the intervals hold 95%
of these laws. For one parameter this inverts Student's t-test of the least-squares equations, which is exact
for normal errors. Plain squares give the values: weights from a covariance that is estimated add noise.
"""

from typing import Any

import numpy as np

from ..arrays import Array, covariance_root
from ..catalog import LAWS
from ..errors import FitError
from ..records import Fit, Interval, Reach
from ._base import Law, Points

LEVEL = 0.95
DRAWS = 1000
LARGEST = 1e30  # of x and y, and one over it the least: fourth powers and squares of more overflow
LARGEST_RESIDUAL = 0.1  # as a fraction of the fall from the first point to the last
_NUMBERS = {1: "one", 2: "two", 3: "three"}
_AT_ONCE = 250  # data sets solved at one time
_LEAST = 1e-6  # of the smallest y: what a drawn y is at least


def fit_points(
    m: Array,
    y: Array,
    law: str = "power_law",
    objective: str | None = None,
    *,
    covariance: Array | None = None,
    freedom: float | None = None,
    unknown: str = "",
    exact: bool = False,
) -> Fit:
    """Fits a law to points.

    Args:
        m: The variable (members, width, budget), (point,), positive, all different.
        y: The value that falls with m, (point,), positive, in any unit.
        law: A law's name.
        objective: The objective to minimise; None for the law's default.
        covariance: Of the errors of y, (point, point), in its unit squared. None where errors are independent
            and equal: their size is taken from the residuals.
        freedom: Degrees of freedom of the covariance; None where it is known exactly.
        unknown: Why nothing is known of the errors: then nothing gets an interval, and the fit says why.
            Ensembles of several sizes from one pool share members, so without a covariance this is so.
        exact: Whether to fit as many points as the law has parameters too. It passes through all of them, so
            nothing is known of it but what the covariance says of the points.

    Returns:
        Parameters with 95% intervals, the residual, and a status: "ok", or what is wrong with the law.

    Raises:
        FitError: Numbers that are not positive and finite, an m that occurs twice, or what is no covariance.

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
    points = _checked(m, y, covariance, freedom, unknown)
    return _fitted(part, points, law, objective, exact and not (covariance is None and not unknown))


def curve(fit: Fit, at: Array) -> Array:
    """A fitted law at some m, (place,); only of a fit that has parameters."""
    found: Array = LAWS[fit.law].value(_parameters(fit)[None], np.asarray(at, np.float64))[0]
    return found


def band(points: Points, fit: Fit, at: Array) -> tuple[Array, Array] | None:
    """The 95% interval of a fitted law's value at some m, from the draws that its parameters' are from.

    Args:
        points: That it was fitted to.
        fit: Their law.
        at: Where, (place,).

    Returns:
        Lower and upper ends, (place,) each; None where nothing is known of the errors.
    """
    if points.unknown:
        return None
    drawn = drawn_values(points, fit, at)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    value = curve(fit, at)
    return np.minimum(low, value), np.maximum(high, value)


def drawn_values(points: Points, fit: Fit, at: Array) -> Array:
    """A fitted law at some m as other errors of its points would have it, (place,) to (draw, place)."""
    law = LAWS[fit.law]
    return law.value(_drawn(law, points, _parameters(fit), fit.objective), np.asarray(at, np.float64))


def determination(points: Points, fit: Fit) -> float | None:
    """R^2 of a fitted law on the scale on which it is a straight line, if there is one, else on that of y.

    None where the law passes through all points whatever they are.
    """
    law = LAWS[fit.law]
    if len(points.m) <= law.free:
        return None
    scale = law.straight or (lambda y: y)
    values, fitted = scale(points.y), scale(curve(fit, points.m))
    total = float(((values - values.mean()) ** 2).sum())
    return 1 - float(((values - fitted) ** 2).sum()) / total if total > 0 else None


def _parameters(fit: Fit) -> Array:
    assert fit.a is not None
    return np.array([0.0 if one is None else one.value for one in (fit.a, fit.b, fit.c)])


def _checked(m: Array, y: Array, covariance: Array | None, freedom: float | None, unknown: str) -> Points:
    m, y = np.asarray(m, np.float64), np.asarray(y, np.float64)
    if m.shape != y.shape or m.ndim != 1:
        raise FitError(f"points have shapes {m.shape} and {y.shape}; needed is one y for every x.")
    for name, values in (("x", m), ("y", y)):
        wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
        if len(wrong):
            raise FitError(f"{name} of point {wrong[0]} is {values[wrong[0]]}; a law needs numbers above 0.")
        far = np.flatnonzero((values < 1 / LARGEST) | (values > LARGEST))
        if len(far):
            raise FitError(
                f"{name} of point {far[0]} is {values[far[0]]:g}; laws are fitted to numbers from"
                f" {1 / LARGEST:g} to {LARGEST:g}. Write {name} in another unit."
            )
    values, counts = np.unique(m, return_counts=True)
    if len(values) < len(m):
        raise FitError(
            f"x = {values[counts > 1][0]:g} occurs {counts.max()} times. Give each x once, with the mean y."
        )
    order = np.argsort(m)
    if covariance is not None:
        covariance = _covariance(covariance, len(m))[np.ix_(order, order)]
        if freedom is not None and not freedom > 0:
            raise FitError(f"a covariance must have degrees of freedom above 0; it has {freedom}.")
    return Points(m[order], y[order], covariance, freedom, unknown)


def _covariance(covariance: Array, count: int) -> Array:
    covariance = np.asarray(covariance, np.float64)
    if covariance.shape != (count, count):
        raise FitError(f"the covariance of {count} points has shape {covariance.shape}.")
    least = -1e-9 * float(np.trace(covariance))
    even = np.isfinite(covariance).all() and np.allclose(covariance, covariance.T, atol=0)
    if not (even and np.linalg.eigvalsh(covariance).min() >= least):
        raise FitError(
            "the covariance of the points must be finite, symmetric and without negative variances."
        )
    return covariance


def _fitted(law: Law, points: Points, name: str, objective: str, exact: bool) -> Fit:
    m, y = points.m, points.y
    facts: dict[str, Any] = {
        "law": name,
        "objective": objective,
        "points": len(m),
        "smallest": float(m[0]) if len(m) else None,
        "largest": float(m[-1]) if len(m) else None,
        "no_interval": points.unknown or None,
    }
    if len(m) < law.free + (not exact):
        return Fit(**facts, status=f"{len(m)} points: {_least(law, exact)}")
    parameters = law.solve(m, y[None], objective)
    found = dict(zip("abc", _intervals(law, points, parameters[0], objective), strict=True))
    facts |= {name: one for name, one in found.items() if name in law.parameters}
    if len(m) > law.free:
        ahead = law.value(law.solve(m[:-1], y[None, :-1], objective), m[-1:])
        left = y - law.value(parameters, m)[0]
        facts["residual"] = float(np.sqrt((left**2).mean()))
        facts["held_out_error"] = float(ahead[0, 0] - y[-1])
    return _judged(law, points, Fit(**facts, status=""))


def _least(law: Law, exact: bool) -> str:
    number, several = _NUMBERS[law.free], "s" * (law.free > 1)
    if exact:
        return f"{number} parameter{several} need{'s' * (not several)} at least {law.free}"
    passes = "pass" if several else "passes"
    return f"{number} parameter{several} {passes} through any {number}, so at least {law.free + 1} are needed"


def _judged(law: Law, points: Points, fit: Fit) -> Fit:
    """The fit with its status, and how far it can be trusted."""
    if fault := _fault(law, points, fit) or law.refused(points, fit):
        return fit.model_copy(update={"status": fault})
    within = f"good from {fit.smallest:g} to {fit.largest:g}, not beyond"
    if reason := law.opened(points, fit):
        status, reach = f"no asymptote shows, for {reason}: {within}", Reach.MEASURED
    elif points.unknown and law.straight is None:
        status, reach = f"without intervals nobody knows whether an asymptote shows: {within}", Reach.MEASURED
    else:
        status, reach = "ok", Reach.BEYOND
    return fit.model_copy(update={"status": status, "reach": reach})


def _fault(law: Law, points: Points, fit: Fit) -> str:
    highest = int(points.y.argmax())
    if law.share and points.y[highest] >= 1:
        return f"y = {points.y[highest]:.4g} at m = {points.m[highest]:g}, and a share must be below 1"
    fall = float(points.y[0] - points.y[-1])
    if fall <= 0:
        return "y does not fall from the first point to the last"
    if fit.residual is not None:
        residual = fit.residual * float(np.sqrt(fit.points / (fit.points - law.free)))
        if residual > LARGEST_RESIDUAL * fall:
            return f"the points scatter about the law by {residual / fall:.0%} of their whole fall"
    if fit.b is not None and fit.b.low is not None and fit.b.low <= 0:
        return "the fall cannot be told from the noise of the points"
    return ""


def _intervals(law: Law, points: Points, parameters: Array, objective: str) -> list[Interval]:
    if points.unknown:
        return [Interval(value=float(one)) for one in parameters]
    drawn = _drawn(law, points, parameters, objective)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return [
        Interval(value=float(one), low=float(min(one, least)), high=float(max(one, most)))
        for one, least, most in zip(parameters, low, high, strict=True)
    ]


def _drawn(law: Law, points: Points, parameters: Array, objective: str) -> Array:
    """Laws of the points without errors that they may have, (draw, 3)."""
    ys = np.maximum(points.y - _errors(law, points, parameters), _LEAST * points.y.min())
    parts = np.array_split(ys, range(_AT_ONCE, len(ys), _AT_ONCE))
    return np.concatenate([law.solve(points.m, part, objective) for part in parts])


def _errors(law: Law, points: Points, parameters: Array) -> Array:
    """Errors that the points may have, (draw, point): known ones, and scatter beyond them.

    Scatter is added where the residuals are larger than known errors make them in 95% of cases.
    """
    rng, count = np.random.default_rng(0), len(points.m)
    freedom = count - law.free
    off = _off_the_law(law, points.m, parameters)
    left = off @ (points.y - law.value(parameters[None], points.m)[0])
    known = np.zeros((DRAWS, count))
    if points.covariance is not None:
        known = rng.standard_normal((DRAWS, count)) @ covariance_root(points.covariance).T
        known *= _students(rng, points.freedom)
    if freedom == 0:
        return known
    expected = ((known @ off) ** 2).sum(1)
    beyond = float(left @ left) > np.quantile(expected, LEVEL)
    if points.covariance is not None and not beyond:
        return known
    variance = max(0.0, float(left @ left) - float(np.median(expected))) / freedom
    scatter = rng.standard_normal((DRAWS, count)) * variance**0.5 * _students(rng, freedom)
    found: Array = known + scatter
    return found


def _students(rng: np.random.Generator, freedom: float | None) -> Array | float:
    """What makes normal draws Student's t: one factor a draw, (draw, 1)."""
    if freedom is None:
        return 1.0
    found: Array = np.sqrt(freedom / rng.chisquare(freedom, (DRAWS, 1)))
    return found


def _off_the_law(law: Law, m: Array, parameters: Array) -> Array:
    """Projection on what the law, linearised at its parameters, cannot follow, (point, point)."""
    steps = 1e-5 * np.diag(np.maximum(np.abs(parameters), 1e-12))
    slopes = law.value(parameters + steps, m) - law.value(parameters - steps, m)
    basis, sizes, _ = np.linalg.svd(slopes.T / np.maximum(np.abs(slopes).max(1), 1e-300), full_matrices=False)
    basis = basis[:, sizes > 1e-9 * sizes.max()]
    found: Array = np.eye(len(m)) - basis @ basis.T
    return found
