"""One row a model: what is expected of it at more training images than anybody has trained at."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from ..analysis.curve_forecasts import Forecast, ForecastGroup, ForecastModel
from ..analysis.learning_curves import CurveModel
from ..records import Interval
from ._base import Column, Table
from ._curves import HEADINGS, MODEL, TRANSFORMATIONS


class ForecastRow(NamedTuple):
    """A model of a group, with the forecast that it is part of."""

    forecast: Forecast
    group: ForecastGroup
    found: ForecastModel

    @property
    def model(self) -> CurveModel:
        return self.found.model


def rows_of(forecasts: Sequence[Forecast]) -> list[ForecastRow]:
    return [
        ForecastRow(one, group, found) for one in forecasts for group in one.groups for found in group.models
    ]


table = Table(
    "curve_forecasts",
    "Models expected at more training images",
    (
        Column("metric", "metric", get="forecast.metric"),
        Column("group", "among", get="group.name"),
        *MODEL,
        Column("at", "at N", ",g", get="forecast.at"),
        Column("beyond", "beyond, x", ".1f", get="forecast.beyond"),
        Column("law", "law", get="forecast.reliability.law"),
        Column("value", "expected", ".4f", interval=True, get="found.value"),
        Column("probability_best", "P(best)", ".2f", get="found.probability_best"),
        Column("best", get=lambda row: "best" if row.group.best is row.found else ""),
        Column("status", get="forecast.status"),
    ),
    rules=(
        "Hindcasts: every law is fitted again to the sizes up to each smaller one, and judged at larger"
        " ones that were measured. Of the laws with hindcasts as far as what is asked, from at least two"
        " sizes, the one that was off least is used.",
        "Intervals are 95%: over fresh members, and over errors like those of the hindcasts, by Student's"
        " t. What all models missed alike moves no ranks; what each missed for itself does. Hindcasts hold"
        " the noise of their members too, which so counts twice. P(best): share of the draws in which a"
        " model is lowest in its group. ★: lowest expected value.",
        "ok: hindcasts from at least two sizes are as far as what is asked. Beyond them errors are taken"
        " to grow as ln N, and the answer is not carried by the data.",
        TRANSFORMATIONS,
    ),
    marked="members",
    about="forecast",
    records=rows_of,
    summary=("group", "arm", "tuned", "width", "members", "value", "probability_best", "status", "law"),
)


def verdicts(one: Forecast) -> list[str]:
    """How reliable a forecast is, and what is expected to be best among each group."""
    return [_reliability(one), *(_best(one, group) for group in one.groups)]


def _reliability(one: Forecast) -> str:
    its = one.reliability
    if not its.hindcasts:
        return f"{its.law}, without a hindcast."
    casts = "; ".join(f"{cast.origin:,.0f} to {cast.target:,.0f}" for cast in its.hindcasts)
    ranks = ", ".join(f"{cast.correlation:.2f} (without a law {cast.without:.2f})" for cast in its.hindcasts)
    return (
        f"Law: {its.law}. Hindcasts ({casts} training images) were off by a factor of"
        f" {math.exp(its.total):.2f} (root mean square), by {math.exp(its.own):.2f} without what all models"
        f" missed alike. Their rank correlations were {ranks}."
    )


def _best(one: Forecast, group: ForecastGroup) -> str:
    best = group.best
    chance = "" if best.probability_best is None else f", best with probability {best.probability_best:.2f}"
    return (
        f"At {one.at:,.0f} training images, {one.beyond:.1f} times the largest size measured, the best of"
        f" {group.name} is expected to be {best.model}: {HEADINGS[one.metric]} {_with_ends(best.value)}"
        f"{chance}." + ("" if one.status == "ok" else f" But {one.status}.")
    )


def _with_ends(one: Interval) -> str:
    return f"{one.value:.4f}" + ("" if one.low is None else f" [{one.low:.4f}, {one.high:.4f}]")
