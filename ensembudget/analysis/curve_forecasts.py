"""Which model will be best at more training images than anybody has trained at.

Every law is fitted again to the sizes up to each smaller one, and judged at the larger sizes there are: these
hindcasts show how far its forecasts are off at a distance. They choose the law, widen its intervals, and say
how far it may be believed. What all models miss alike moves no ranks, so it is kept apart from what each
misses for itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..catalog import LAWS
from ..errors import FitError
from ..records import Interval
from .curve_fits import LEAST_FITTED, ends_of, solved
from .curve_ranks import ALL
from .hindcasts import LEAST_ORIGINS, Reliability, most_reliable
from .learning_curves import DRAWS, CurveModel, LearningCurves


class ForecastModel(NamedTuple):
    """A model among others that it is compared with.

    Attributes:
        model: Which.
        value: The metric that is expected, with its 95% interval; no ends where nothing shows the errors.
        probability_best: Share of the draws in which it is lowest; None where there are no draws.
    """

    model: CurveModel
    value: Interval
    probability_best: float | None


@dataclass(frozen=True)
class ForecastGroup:
    """Models that are compared at the size that is asked for.

    Attributes:
        name: Whose splits they are, or that they are all models.
        models: In the order of the curves.
        best: The one with the lowest value.
    """

    name: str
    models: tuple[ForecastModel, ...]

    @property
    def best(self) -> ForecastModel:
        return min(self.models, key=lambda one: one.value.value)


@dataclass(frozen=True)
class Forecast:
    """What is expected of all models at a number of training images.

    Attributes:
        metric: Of the curves.
        at: Training images.
        largest: The largest size measured.
        reliability: The law that was used, and how far off it was in hindcasts.
        groups: All models, and the splits of every budget.
        left_out: Models that were not measured at the largest size.
        status: "ok", or why the data do not carry the answer.
    """

    metric: str
    at: float
    largest: float
    reliability: Reliability
    groups: tuple[ForecastGroup, ...]
    left_out: tuple[CurveModel, ...]
    status: str

    @property
    def beyond(self) -> float:
        """How many times the largest size measured."""
        return self.at / self.largest


def forecast(curves: LearningCurves, at: float) -> Forecast:
    """Which model is expected to be best at a number of training images.

    Args:
        curves: At three sizes or more.
        at: More training images than were measured.

    Raises:
        FitError: Too few sizes, or what is asked was measured.

    Example:
        Curves that will have crossed.

        >>> models = [CurveModel("vgg", "", None, width, 1, 100 * width**2) for width in (8, 16)]
        >>> sizes = np.array([500.0, 1000, 2000, 4000])
        >>> values = np.stack([0.5 * (sizes / 500) ** -0.2, 0.9 * (sizes / 500) ** -0.45])
        >>> curves = LearningCurves("error", 1.0, tuple(models), sizes, values, (), unknown="made up")
        >>> values[:, -1].argmin(), forecast(curves, 16_000).groups[0].best.model.width
        (np.int64(0), 16)
    """
    columns = _columns(curves, at)
    whole = np.all(curves.values[:, columns] > 0, axis=1, keepdims=True)[:, 0]
    if not whole.any():
        sizes = ", ".join(f"{curves.sizes[one]:,.0f}" for one in columns)
        raise FitError(f"no model was measured at all of {sizes} training images, with values above 0.")
    kept = curves.of_models(np.flatnonzero(whole).tolist())
    largest = float(curves.sizes[columns[-1]])
    chosen = most_reliable(kept, columns, at / largest)
    rows = range(len(kept.models))
    values, drawn = _drawn(kept, columns, at, chosen)
    groups = {ALL: tuple(rows)} | {group.name: group.rows for group in kept.budgets}
    return Forecast(
        metric=curves.metric,
        at=at,
        largest=largest,
        reliability=chosen,
        groups=tuple(_group(name, its, kept, values, drawn) for name, its in groups.items()),
        left_out=tuple(model for model, good in zip(curves.models, whole, strict=True) if not good),
        status=_status(curves, chosen, at, largest),
    )


def _columns(curves: LearningCurves, at: float) -> list[int]:
    """Columns of the sizes at which every family was measured."""
    families = {model.family for model in curves.models}
    found = [
        column
        for column in range(len(curves.sizes))
        if {curves.models[row].family for row in np.flatnonzero(curves.values[:, column] > 0)} == families
    ]
    there = ", ".join(f"{curves.sizes[one]:,.0f}" for one in found) or "none"
    if len(found) <= LEAST_FITTED:
        raise FitError(
            f"a forecast needs at least {LEAST_FITTED + 1} numbers of training images at which all families"
            f" were measured; there {'is' if len(found) == 1 else 'are'} {there}. Train at more of them."
        )
    if at <= curves.sizes[found[-1]]:
        raise FitError(
            f"--at {at:,.0f} is not above {curves.sizes[found[-1]]:,.0f}, the most training images that were"
            f" measured ({there}): `report` has what was measured. Ask for more."
        )
    return found


def _drawn(
    curves: LearningCurves, columns: Sequence[int], at: float, chosen: Reliability
) -> tuple[Array, Array | None]:
    """What is expected of every model, (model,), and what may be, (draw, model)."""
    law, own, place = LAWS[chosen.law], list(columns), np.array([at])
    values = solved(law, curves, own, curves.values[:, own], place)[:, 0]
    if curves.unknown:
        return values, None
    count = len(curves.models)
    flat = curves.drawn[:, :, own].reshape(DRAWS * count, len(own))
    drawn = solved(law, curves, own, flat, place).reshape(DRAWS, count)
    rng, origins = np.random.default_rng(0), len(chosen.hindcasts)
    networks = len({model.network for model in curves.models})
    alike = rng.standard_t(origins, (DRAWS, 1)) * chosen.shared
    each = rng.standard_t(origins * max(1, networks - 1), (DRAWS, count)) * chosen.own
    off = drawn * np.exp(chosen.stretch * (alike + each))
    return values, np.minimum(off, curves.highest)


def _group(
    name: str, rows: Sequence[int], curves: LearningCurves, values: Array, drawn: Array | None
) -> ForecastGroup:
    shares: list[float | None] = [None] * len(rows)
    if drawn is not None:
        counts = np.bincount(drawn[:, rows].argmin(1), minlength=len(rows))
        shares = [float(count) / DRAWS for count in counts]
    models = tuple(
        ForecastModel(
            curves.models[row],
            ends_of(float(values[row]), None if drawn is None else drawn[:, row]),
            share,
        )
        for row, share in zip(rows, shares, strict=True)
    )
    return ForecastGroup(name, models)


def _status(curves: LearningCurves, chosen: Reliability, at: float, largest: float) -> str:
    faults = []
    if curves.unknown:
        faults.append(f"there are no intervals, for {curves.unknown}")
    if not chosen.reaches:
        reached = min(cast.factor for cast in chosen.hindcasts)
        faults.append(
            f"{at:,.0f} is {at / largest:.1f} times the largest size measured, and only hindcasts of up to"
            f" {reached:.1f} times start at {LEAST_ORIGINS} sizes or more"
        )
    return "not carried by the data: " + "; ".join(faults) if faults else "ok"
