"""Which split of a budget is best, and by how much, from the law of a plane."""

from collections.abc import Sequence

import numpy as np

from ..arrays import Array
from ..records import Extrapolation, Interval, PredictedSplit, Prediction
from .budgets import Budgeted, Candidate
from .plane import Plane
from .posterior import Posterior

LEVEL = 0.9
LARGEST_SCATTER = 0.15  # about the law, of the range of CNLL: with more there is no law


def predict(posterior: Posterior, budgets: Sequence[Budgeted], *, seed: int = 0) -> list[Prediction]:
    """The splits of some budgets with their CNLL, and the one that is expected to be best.

    Args:
        posterior: Of the plane, as from `fit_plane`.
        budgets: As from `plane_budget`.
        seed: Of the draws; all budgets see the same.

    Returns:
        One a budget, in order.
    """
    places = list(dict.fromkeys(one for budget in budgets for one in budget.candidates))
    drawn = posterior.draws(
        np.array([float(one.members) for one in places]),
        np.array([float(one.parameters) for one in places]),
        seed=seed,
    )
    rows = {place: row for place, row in zip(places, drawn, strict=True)}
    return [
        _prediction(posterior, one, np.stack([rows[place] for place in one.candidates])) for one in budgets
    ]


def _prediction(posterior: Posterior, asked: Budgeted, drawn: Array) -> Prediction:
    shares = np.bincount(drawn.argmin(0), minlength=len(drawn)) / drawn.shape[1]
    splits = [
        PredictedSplit(
            members=one.members,
            width=one.width,
            parameters_total=one.members * one.parameters,
            cnll=_interval(row),
            probability_best=float(share),
            gain=_interval(drawn[0] - row),
            extrapolation=_extrapolation(posterior.plane, one),
        )
        for one, row, share in zip(asked.candidates, drawn, shares, strict=True)
    ]
    best = min(splits, key=lambda one: one.cnll.value)
    return Prediction(
        budget=asked.budget,
        budget_kind=asked.kind,
        best=best.members,
        status=_status(posterior, [splits[0], best]),
        splits=splits,
    )


def _interval(drawn: Array) -> Interval:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value=float(drawn.mean()), low=float(low), high=float(high))


def _extrapolation(plane: Plane, one: Candidate) -> Extrapolation:
    total = float((plane.members * plane.parameters).max())
    return Extrapolation(
        width=max(1.0, one.width / plane.curves[-1].width),
        members=max(1.0, one.members / float(plane.members.max())),
        budget=max(1.0, one.members * one.parameters / total),
    )


def _status(posterior: Posterior, judged: Sequence[PredictedSplit]) -> str:
    """Whether the plane carries an answer: it follows a law, and the answer is within reach of it.

    Within reach is no further beyond the plane than the plane itself spans, in logarithms.
    """
    plane = posterior.plane
    spans = {
        "width": plane.curves[-1].width / plane.curves[0].width,
        "members": float(plane.members.max() / plane.members.min()),
    }
    faults = []
    for name, span in spans.items():
        for one in judged:
            factor = getattr(one.extrapolation, name)
            if factor > span:
                faults.append(
                    f"n = {one.members} of width {one.width} is {factor:.1f} times beyond the largest"
                    f" {name} measured, and the plane spans {span:.1f}"
                )
    left = plane.cnll - posterior.law(plane.members, plane.parameters)
    share = float(np.sqrt((left**2).mean()) / np.ptp(plane.cnll))
    if share > LARGEST_SCATTER:
        faults.append(f"CNLL scatters about the law by {share:.0%} of its range")
    if max(one.extrapolation.width for one in judged) > 1 and not posterior.falls_along_width:
        faults.append("CNLL does not fall with width, and this is wider than what was measured")
    return "not carried by the data: " + "; ".join(dict.fromkeys(faults)) if faults else "ok"
