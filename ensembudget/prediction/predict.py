"""Which split of a budget is best, and by how much, from the law of a plane."""

from collections.abc import Iterator, Sequence

import numpy as np

from ..arrays import Array
from ..catalog import METRICS
from ..records import Extrapolation, Interval, PredictedSplit, Prediction
from .beyond import steps_beyond
from .budgets import Budgeted, Candidate
from .plane import Plane
from .posterior import Posterior

LEVEL = 0.9
MATTERS = 0.1  # probability from which on a split may be the best: its reach is judged too
STEP = 1.15  # steps of width and doublings of n that an answer may lie beyond: widths are whole numbers
FARTHEST = 2.0  # times the error expected of the widest column: with more, the law does not reach beyond it
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
    known = posterior.plane.has_errors
    shares = np.bincount(drawn.argmin(0), minlength=len(drawn)) / drawn.shape[1]
    splits = [
        PredictedSplit(
            members=one.members,
            width=one.width,
            parameters_total=one.members * one.parameters,
            cnll=_interval(row, known).within(*METRICS["nll"].bounds),
            probability_best=float(share) if known else None,
            gain=_interval(drawn[0] - row, known),
            extrapolation=_extrapolation(posterior.plane, one),
        )
        for one, row, share in zip(asked.candidates, drawn, shares, strict=True)
    ]
    best = min(range(len(splits)), key=lambda i: splits[i].cnll.value)
    judged = [i for i, share in enumerate(shares) if i in (0, best) or share >= MATTERS]
    return Prediction(
        budget=asked.budget,
        budget_kind=asked.kind,
        best=splits[best].members,
        status=_status(posterior, [asked.candidates[i] for i in judged]),
        splits=splits,
    )


def _interval(drawn: Array, known: bool) -> Interval:
    if not known:
        return Interval(value=float(drawn.mean()))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value=float(drawn.mean()), low=float(low), high=float(high))


def _extrapolation(plane: Plane, one: Candidate) -> Extrapolation:
    total = float((plane.members * plane.parameters).max())
    return Extrapolation(
        width=max(1.0, one.width / plane.curves[-1].width),
        members=max(1.0, one.members / float(plane.members.max())),
        budget=max(1.0, one.members * one.parameters / total),
    )


def _status(posterior: Posterior, judged: Sequence[Candidate]) -> str:
    """Whether the plane carries an answer: it has errors and follows a law, and the answer is within a step.

    Judged are the wide network, the best split and all that may be the best.
    """
    faults = [*_of_plane(posterior)]
    for one in judged:
        faults += _too_far(posterior.plane, one)
    if any(one.parameters > posterior.plane.parameters.max() for one in judged):
        faults += _of_wider(posterior)
    return "not carried by the data: " + "; ".join(faults) if faults else "ok"


def _of_plane(posterior: Posterior) -> Iterator[str]:
    plane = posterior.plane
    if not plane.has_errors:
        yield (
            "nothing says how well the cells of this plane are known, so there are no intervals and no"
            " probabilities (a column stderr, or --stderr, would say it)"
        )
    left = plane.cnll - posterior.law(plane.members, plane.parameters)
    share = float(np.sqrt((left**2).mean()) / np.ptp(plane.cnll))
    if share > LARGEST_SCATTER:
        yield f"CNLL scatters about the law by {share:.0%} of its range"


def _too_far(plane: Plane, one: Candidate) -> Iterator[str]:
    steps = steps_beyond(plane, np.array([float(one.members)]), np.array([float(one.parameters)]))
    narrower, widest = (curve.width for curve in plane.curves[-2:])
    if steps.width[0] > STEP:
        yield (
            f"n = {one.members} of width {one.width} is {one.width / widest:.2f} times as wide as the widest"
            f" measured, and one step of width is {widest / narrower:.2f} times"
        )
    if steps.members[0] > STEP:
        largest = plane.members.max()
        yield (
            f"n = {one.members} of width {one.width} has {one.members / largest:.1f} times the {largest:g}"
            " members of the largest ensemble measured, and one step is 2 times"
        )


def _of_wider(posterior: Posterior) -> Iterator[str]:
    """Why no answer beyond the widest width is supported."""
    plane, far = posterior.plane, posterior.beyond.far
    if far is None:
        yield (
            f"of {len(plane.curves)} widths none can be held out, so nothing shows whether the law reaches"
            " beyond the widest: measure one more"
        )
    elif far > FARTHEST:
        yield f"the widest column, predicted from the others, is off by {far:.1f} times the expected error"
    if not posterior.falls_along_width:
        yield "CNLL does not fall with width, and this is wider than what was measured"
