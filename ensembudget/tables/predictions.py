"""One row a (budget, n): the CNLL that is predicted, and how likely it is the best."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..prediction.posterior import Posterior
from ..records import Interval, PredictedSplit, Prediction
from ._base import Column, Table

SHOWN = 0.1  # probability from which on another form is named


class SplitOfBudget(NamedTuple):
    """A predicted split with the prediction that it is part of."""

    budget: Prediction
    split: PredictedSplit


def splits_of(predictions: Sequence[Prediction]) -> list[SplitOfBudget]:
    return [SplitOfBudget(one, split) for one in predictions for split in one.splits]


table = Table(
    "predictions",
    "Predicted splits",
    (
        Column("budget", "budget", ",d", get=lambda row: row.budget.budget),
        Column("budget_kind", get=lambda row: row.budget.budget_kind),
        Column("members", "n", "d", get=lambda row: row.split.members),
        Column("width", "width", "d", get=lambda row: row.split.width),
        Column("parameters_total", "parameters", ",d", get=lambda row: row.split.parameters_total),
        Column("cnll", "CNLL", ".4f", interval=True, get=lambda row: row.split.cnll),
        Column("gain", "gain over wide", "+.4f", interval=True, get=lambda row: row.split.gain),
        Column("probability_best", "P(best)", ".2f", get=lambda row: row.split.probability_best),
        Column("beyond_width", "beyond in width, x", ".1f", get=lambda row: row.split.extrapolation.width),
        Column("beyond_members", "in n, x", ".1f", get=lambda row: row.split.extrapolation.members),
        Column("beyond_budget", "in budget, x", ".1f", get=lambda row: row.split.extrapolation.budget),
        Column("best", get=lambda row: "best" if row.split.members == row.budget.best else ""),
        Column("status", get=lambda row: row.budget.status),
    ),
    rules=(
        "CNLL in expectation over members, nats per sample, on the test set of the plane; gain is the CNLL of"
        " the wide network (n = 1) minus that of the split. Intervals are 90%: over fresh members, the"
        " forms that the law may have, its exponents, deviations from it, and drift beyond the widest width."
        " A plane without errors gives no intervals.",
        "★ marks the lowest expected CNLL of a budget; P(best) is the share of draws in which it is lowest.",
        "Beyond: how many times beyond the largest width, n and budget that were measured; 1 is within."
        " Only what is at most one step beyond is ok: of width as between the two widest, of n a doubling.",
    ),
    marked="members",
    about="prediction",
    records=splits_of,
    summary=("budget", "members", "width", "cnll", "probability_best", "gain", "parameters_total"),
)


def law_note(posterior: Posterior) -> str:
    """The likeliest law in numbers, and how likely the other forms are."""
    plane, best = posterior.plane, posterior.best
    doubted = ", ".join(map(str, posterior.doubted))
    others = [
        f"{formula} ({share:.0%})"
        for formula, share in sorted(posterior.shares.items(), key=lambda one: -one[1])
        if formula != best.form.formula and share >= SHOWN
    ]
    return (
        f"Law: CNLL = {best.form.written(best.coefficients, best.exponents)}, q the parameters of a member"
        f" over {plane.curves[0].parameters:,}; from {len(plane.cnll)} cells of {len(plane.curves)} widths,"
        f" which lie {float(np.hypot(*best.scatter)):.2g} nats about it."
        + (f" The data leave open: {'; '.join(others)}." if others else "")
        + (f" Far from where all others expect it, and counted less: width {doubted}." if doubted else "")
    )


def verdicts(predictions: Sequence[Prediction]) -> list[str]:
    """What each budget comes to, one sentence each."""
    return [_verdict(one) for one in predictions]


def _verdict(one: Prediction) -> str:
    best = next(split for split in one.splits if split.members == one.best)
    kind = one.budget_kind
    text = (
        f"At {one.budget:,} {kind} the best split is expected to be n = {best.members} (width {best.width}):"
        f" CNLL {best.cnll.value:.4f}{_ends(best.cnll, '.4f')}"
    )
    if best.probability_best is not None:
        text += f", best with probability {best.probability_best:.2f}"
    if best.members > 1:
        text += f", {best.gain.value:+.4f}{_ends(best.gain, '+.4f')} better than the wide network"
    return text + (f". But {one.status}." if one.status != "ok" else ".")


def _ends(interval: Interval, form: str) -> str:
    if interval.low is None or interval.high is None:
        return ""
    return f" [{interval.low:{form}}, {interval.high:{form}}]"
