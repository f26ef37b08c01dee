"""One row a law and a group of models: does it rank them at few training images as full training does?"""

from collections.abc import Iterator
from typing import Any

from ..analysis.curve_ranks import ALL, NO_LAW, OVER_BUDGETS, RankResult
from ..records import Interval
from ._base import Column, Table
from ._curves import HEADINGS, TRANSFORMATIONS


def by(one: RankResult) -> str:
    return f"value at N = {one.largest:,.0f}, no law" if one.law == NO_LAW else one.law


def notes(subject: Any) -> list[str]:
    """For all models, and for splits of one budget: no law, the law that ranks best, and what it adds."""
    return [line for found in subject.curves for line in _notes(found.ranks)]


def _notes(ranks: tuple[RankResult, ...]) -> Iterator[str]:
    for group in (ALL, OVER_BUDGETS):
        its = [one for one in ranks if one.group == group]
        laws = [one for one in its if one.law != NO_LAW]
        if laws:
            yield _sentence(next(one for one in its if one.law == NO_LAW), laws)


def _sentence(without: RankResult, laws: list[RankResult]) -> str:
    best = max(laws, key=lambda one: one.spearman.value)
    closest = min(laws, key=lambda one: one.rmse.value)
    better = [one.law for one in laws if one.verdict == "better"]
    adds = f"{', '.join(better)} rank{'s' * (len(better) == 1)} better than that" if better else (
        "no law is shown to rank better than that"
    )  # fmt: skip
    return (
        f"{HEADINGS[best.metric]}, {without.group}: values at {without.largest:,.0f} training images rank"
        f" them at {without.at:,.0f} with a correlation of {_with_ends(without.spearman)}, the best law,"
        f" {best.law}, with {_with_ends(best.spearman)}: {adds}. The closest prediction is that of"
        f" {closest.law}, off by {closest.rmse.value:.4f} (root mean square)."
    )


def _with_ends(one: Interval) -> str:
    return f"{one.value:.2f}" + ("" if one.low is None else f" [{one.low:.2f}, {one.high:.2f}]")


table = Table(
    "curve_ranking",
    "Ranking of models from few training images",
    (
        Column("metric", "metric"),
        Column("group", "models"),
        Column("law", "ranked by", get=by),
        Column("models", "number", "d"),
        Column("refused", "laws refused", "d"),
        Column("largest", "from at most N", ",g"),
        Column("at", "judged at N", ",g"),
        Column("rmse", "RMSE", ".4f", interval=True),
        Column("spearman", "rank correlation", ".3f", interval=True),
        Column("over_models", "over networks", ".3f", interval=True),
        Column("over_no_law", "minus no law", "+.3f", interval=True),
        Column("verdict", "vs no law"),
        Column("chosen", "predicted best", get=lambda one: one.chosen and str(one.chosen)),
        Column("regret", "its loss above the best", ".4f"),
    ),
    rules=(
        "Rank correlation: Spearman's, between what a law predicts from the small sizes and what was"
        " measured at the largest. No law: models are ranked by their values at the largest small size."
        " Models whose law is refused are ranked by it all the same, so that all laws rank the same"
        " models.",
        "Intervals are 95%. Those of rank correlation, RMSE and minus no law are over fresh members:"
        " errors of all points are drawn by their covariance and Student's t, laws are fitted again, and"
        " measured values move too. Noise lowers a rank correlation, so the interval reaches as far above"
        " the value as draws lie below it. Over networks: the same correlation where whole networks, with"
        " all their ensemble sizes, are drawn anew; missing with fewer than 6 networks. No interval is"
        " over training images, which are the same for all models.",
        "Versus no law: better or worse where the interval of the difference excludes 0. To rank models,"
        " a law that is no better is not worth fitting.",
        TRANSFORMATIONS,
    ),
    records=lambda subject: [one for found in subject.curves for one in found.ranks],
    notes=notes,
    summary=("group", "law", "spearman", "verdict", "rmse", "regret", "over_no_law", "models", "metric"),
    order=31,
)
