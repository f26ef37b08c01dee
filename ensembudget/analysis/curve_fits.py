"""Learning curves fitted at small data sizes by every law, and judged at the largest.

A law of a share (`Law.share`) is fitted to the metric divided by its ceiling: the error itself, or the loss
as a share of ln C, which is what a constant answer has.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from ..catalog import LAWS
from ..errors import FitError
from ..laws._base import Law, Points
from ..laws._fit import LEVEL, curve, determination, drawn_values, fit_points
from ..records import Fit, Interval
from .learning_curves import CurveModel, LearningCurves

REACH = 8  # times the largest size that is fitted, where nobody says otherwise
LEAST_FITTED = 2  # sizes: a straight line has two parameters
_LEAST = 1e-6  # of the ceiling: what is fitted and predicted at least, for no loss is below 0


@dataclass(frozen=True)
class CurveFit:
    """One model's curve, fitted by one law and judged at a larger size.

    Attributes:
        metric: Of the curve.
        model: Whose curve.
        scale: What the metric is divided by before it is fitted.
        points: Sizes and scaled values that the law is fitted to.
        fit: The law, or why there is none.
        r_squared: On the scale on which the law is a straight line; None where it passes through all points.
        at: Training images that it is judged at.
        predicted: The metric there, with the interval of the law's band; None where nothing could be fitted.
        measured: The metric there, with its interval over fresh members.
        error: Predicted minus measured.
    """

    metric: str
    model: CurveModel
    scale: float
    points: Points
    fit: Fit
    r_squared: float | None
    at: float
    predicted: Interval | None
    measured: Interval
    error: Interval | None


@dataclass(frozen=True)
class JudgedCurves:
    """Curves of one metric, fitted by every law at small sizes and judged at a large one.

    Attributes:
        curves: What was measured of the models that can be judged.
        largest: Training images of the largest size that is fitted.
        judged: Column of the size that is predicted.
        fits: By law, one a model, in order.
        left_out: Models that were measured at fewer than two of the small sizes, or not at the large one.
    """

    curves: LearningCurves
    largest: float
    judged: int
    fits: dict[str, tuple[CurveFit, ...]]
    left_out: tuple[CurveModel, ...]

    @property
    def at(self) -> float:
        """Training images that are judged at."""
        return float(self.curves.sizes[self.judged])

    def fitted(self, row: int) -> list[int]:
        """Columns that a model's laws are fitted to."""
        return measured_columns(self.curves, row, self.largest)


def judge(curves: LearningCurves, from_at_most: float | None = None, *, strict: bool = True) -> JudgedCurves:
    """Fits every law to the small sizes of every curve, and compares it with the largest size.

    Args:
        curves: At three sizes or more.
        from_at_most: The largest size that is fitted; None for an eighth of the largest there is.
        strict: Whether fewer than two such sizes are a fault. Else the two smallest are fitted.

    Raises:
        FitError: Too few sizes to fit, or none beyond them.
    """
    judged = _largest_shared(curves)
    largest = _largest_fitted(curves.sizes[: judged + 1], curves.least, from_at_most, strict)
    rows = [
        row
        for row in range(len(curves.models))
        if len(measured_columns(curves, row, largest)) >= LEAST_FITTED and curves.values[row, judged] > 0
    ]
    if not rows:
        raise FitError(
            f"no model was measured at {LEAST_FITTED} sizes of at most {largest:,g} training images and at"
            f" {curves.sizes[judged]:,.0f}, with a {curves.metric} above 0."
        )
    kept = curves.of_models(rows)
    fits = {
        name: tuple(_curve_fit(kept, row, name, largest, judged) for row in range(len(rows)))
        for name in LAWS.usable()
    }
    left_out = tuple(model for row, model in enumerate(curves.models) if row not in rows)
    return JudgedCurves(kept, largest, judged, fits, left_out)


def measured_columns(curves: LearningCurves, row: int, largest: float = np.inf) -> list[int]:
    """Columns of the sizes up to a largest one at which a model has a value above zero."""
    found = (curves.values[row] > 0) & (curves.sizes <= largest)  # NaN is not above 0
    return np.flatnonzero(found).tolist()


def _largest_shared(curves: LearningCurves) -> int:
    """Column of the largest size at which every family was measured."""
    families = {model.family for model in curves.models}
    for column in range(len(curves.sizes) - 1, -1, -1):
        there = np.flatnonzero(np.isfinite(curves.values[:, column]))
        if {curves.models[row].family for row in there} == families:
            return column
    raise FitError(f"{' and '.join(sorted(families))} have no number of training images in common.")


def _largest_fitted(sizes: Array, least: int, from_at_most: float | None, strict: bool) -> float:
    """The largest of ascending sizes that is fitted; the last one is judged at, and none is below `least`."""
    limit = sizes[-1] / REACH if from_at_most is None else from_at_most
    small = sizes[:-1][sizes[:-1] <= limit]
    if len(small) >= LEAST_FITTED:
        return float(small[-1])
    if not strict and len(sizes) > LEAST_FITTED:
        return float(sizes[LEAST_FITTED - 1])
    needed = f"at least {LEAST_FITTED} numbers of training images to fit, and a larger one to judge at"
    if len(sizes) <= LEAST_FITTED:
        raise FitError(
            f"a learning curve needs {needed}; there {'is' if len(sizes) == 1 else 'are'} {_listed(sizes)}."
            f" Train at more, as with train_size = {_enough(sizes, least)} in the study."
        )
    fewer = ", or train at fewer images too" if sizes[0] > least else ""
    raise FitError(
        f"a learning curve needs {needed}; of {_listed(sizes)} at most {limit:,g}"
        f" {'is' if len(small) == 1 else 'are'} {_listed(small) or 'none'}."
        f" Ask for --from-at-most {sizes[LEAST_FITTED - 1]:.0f}{fewer}."
    )


def _enough(sizes: Array, least: int) -> str:
    """Sizes that would be enough, with those there are: two, and one that is `REACH` times the larger.

    >>> _enough(np.array([1000.0]), 10), _enough(np.array([100.0]), 10)
    ('[62, 125, 1000]', '[10, 20, 100, 160]')
    """
    there = list(map(round, sizes.tolist()))
    small = max(least, there[-1] // (2 * REACH))
    large = [] if 2 * small * REACH <= there[-1] else [2 * small * REACH]
    pair = [small, 2 * small if large else there[-1] // REACH]
    return str(sorted({*pair, *there, *large}))


def _listed(sizes: Sequence[float] | Array) -> str:
    return ", ".join(f"{size:,.0f}" for size in sizes)


def share_scale(law: Law, curves: LearningCurves) -> float:
    """What a metric is divided by before a law is fitted to it."""
    return curves.ceiling if law.share else 1.0


def solved(law: Law, curves: LearningCurves, columns: Sequence[int], values: Array, at: Array) -> Array:
    """What a law predicts from many data sets.

    Args:
        law: Any.
        curves: Whose metric it is.
        columns: Of the sizes that are fitted.
        values: The metric there, (draw, size); drawn values may be below zero, where no law is.
        at: Training images, (place,).

    Returns:
        The metric, (draw, place), above zero and no higher than it can be.
    """
    scale, least = share_scale(law, curves), _LEAST * curves.ceiling
    parameters = law.solve(curves.sizes[list(columns)], np.maximum(values, least) / scale, law.objectives[0])
    found: Array = np.clip(scale * law.value(parameters, at), least, curves.highest)
    return found


def _fitted(curves: LearningCurves, row: int, name: str, largest: float) -> tuple[Points, Fit]:
    """A law of one curve up to some size, from scaled values."""
    scale, own = share_scale(LAWS[name], curves), measured_columns(curves, row, largest)
    covariance, freedom = None, None
    if not curves.unknown:
        covariance = np.diag(curves.variances[row, own]) / scale**2
        freedom = float(curves.freedoms[row, own].min())
    points = Points(curves.sizes[own], curves.values[row, own] / scale, covariance, freedom, curves.unknown)
    fit = fit_points(
        points.m, points.y, name,
        covariance=covariance, freedom=freedom, unknown=curves.unknown, exact=True,
    )  # fmt: skip
    return points, fit


def _curve_fit(curves: LearningCurves, row: int, name: str, largest: float, judged: int) -> CurveFit:
    scale, at = share_scale(LAWS[name], curves), float(curves.sizes[judged])
    points, fit = _fitted(curves, row, name, largest)
    predicted, error = None, None
    if fit.a is not None:
        place = np.array([at])
        bounds = _LEAST * curves.ceiling, curves.highest
        value = float(np.clip(scale * curve(fit, place), *bounds)[0])
        drawn = None
        if not points.unknown:
            drawn = np.clip(scale * drawn_values(points, fit, place)[:, 0], *bounds)
        predicted = ends_of(value, drawn)
        error = ends_of(
            value - float(curves.values[row, judged]),
            None if drawn is None else drawn - curves.drawn[:, row, judged],
        )
    return CurveFit(
        metric=curves.metric,
        model=curves.models[row],
        scale=scale,
        points=points,
        fit=fit,
        r_squared=determination(points, fit) if fit.a is not None else None,
        at=at,
        predicted=predicted,
        measured=curves.measured(row, judged),
        error=error,
    )


def ends_of(value: float, drawn: Array | None) -> Interval:
    """A value with 95% of its draws; without ends where there are none."""
    if drawn is None:
        return Interval(value=value)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value=value, low=min(value, float(low)), high=max(value, float(high)))
