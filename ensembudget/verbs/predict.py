"""Which split of a budget is best, and by how much, from a plane of few small members."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..budgets._parse import parse_budget
from ..datasets._load import task_of
from ..errors import FitError, PlanError
from ..planning.variants import variants_of
from ..planning.widths import TOLERANCE, cost, split
from ..prediction.choice import Candidate
from ..prediction.law import Posterior
from ..prediction.plane import Plane, checked, chosen_arm, columns_of, members_of
from ..records import Extrapolation, Interval, Plan, PredictedSplit, Prediction, Study
from ..scoring.pools import pools_of
from ..store import Store

LEVEL = 0.9
MOST_MEMBERS = 2**20  # of a split that is looked at
LARGEST_SCATTER = 0.15  # about the law, of the range of CNLL: more is no law


class Budgeted(NamedTuple):
    """A budget, what it counts, and the splits that spend it, the wide network first."""

    budget: int
    kind: str
    candidates: list[Candidate]


def predict(posterior: Posterior, budgets: Sequence[Budgeted], *, seed: int = 0) -> list[Prediction]:
    """The splits of some budgets with their CNLL, and the one that is expected to be best.

    Args:
        posterior: Of the plane, as from `fit_plane`.
        budgets: As from `plane_budget` or `study_budget`.
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
        width=max(1.0, one.width / plane.columns[-1].width),
        members=max(1.0, one.members / float(plane.members.max())),
        budget=max(1.0, one.members * one.parameters / total),
    )


def _status(posterior: Posterior, judged: Sequence[PredictedSplit]) -> str:
    """Whether the plane carries an answer: a law it has, and no further than it spans, in logarithms."""
    plane = posterior.plane
    spans = {
        "width": plane.columns[-1].width / plane.columns[0].width,
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


# Which splits a budget has.


def _sizes(members: Sequence[int] | None) -> Iterator[int]:
    """What is asked for with the wide network, or powers of two for as long as they are wanted."""
    if members is not None:
        yield from sorted({1, *members})
        return
    size = 1
    while size <= MOST_MEMBERS:
        yield size
        size *= 2


def plane_budget(plane: Plane, written: str, members: Sequence[int] | None = None) -> Budgeted:
    """The splits of a budget at widths that a plane interpolates, none narrower than it has.

    Parameters grow about as the square of the width, so their root is taken to be linear between measured
    widths, and beyond the widest as between the two widest.

    Args:
        plane: What was measured.
        written: The budget, in parameters, as people write it.
        members: Ensemble sizes; None for powers of two.

    Raises:
        PlanError: A budget of another kind, or below the smallest member.
    """
    budget, kind = parse_budget(written)
    if kind != "parameters":
        raise PlanError(
            f"budget {written!r} is in {kind}, and a plane in CSV knows of parameters alone. Write it like"
            " 36.8M, or predict from a study, which knows its networks."
        )
    found = []
    for size in _sizes(members):
        if size * plane.columns[0].parameters > budget * (1 + TOLERANCE):
            break
        found.append(_nearest(plane, budget / size, size))
    return _budgeted(plane, budget, "parameters", found)


def _nearest(plane: Plane, each: float, size: int) -> Candidate:
    widths = np.array([float(column.width) for column in plane.columns])
    roots = np.sqrt([float(column.parameters) for column in plane.columns])
    slope = (roots[-1] - roots[-2]) / (widths[-1] - widths[-2])

    def parameters(width: int) -> int:
        beyond = max(0.0, width - widths[-1]) * slope
        return round(float(np.interp(width, widths, roots) + beyond) ** 2)

    root = each**0.5
    width = np.interp(root, roots, widths) + max(0.0, root - roots[-1]) / slope
    near = min((int(width), int(width) + 1), key=lambda k: abs(parameters(k) - each))
    return Candidate(size, near, parameters(near))


def study_budget(
    study: Study, plane: Plane, written: str | int, arm: str = "", members: Sequence[int] | None = None
) -> Budgeted:
    """The splits of a budget at a study's own widths, none narrower than its plane has.

    Args:
        study: Whose family, options and budget kind count.
        plane: What was measured of it.
        written: The budget, as people write it.
        arm: Which of the study's.
        members: Ensemble sizes; None for powers of two.

    Raises:
        PlanError: No such budget, or one below the smallest member.
    """
    variant = next(variant for variant in variants_of(study) if variant.arm == arm)
    budget, kind = parse_budget(written, None if str(written)[-1:].isalpha() else study.budget_kind)
    task, least = task_of(study.dataset), plane.columns[0].width
    smallest = cost(study.family, least, task, kind, options=variant.options, dtype=study.dtype)
    found = []
    for size in _sizes(members):
        if size * smallest > budget * (1 + TOLERANCE):
            break
        one = split(
            study.family, task, budget, size, kind,
            options=variant.options, multiple_of=study.multiple_of, dtype=study.dtype,
        )  # fmt: skip
        if one.width >= least:
            found.append(Candidate(size, one.width, one.parameters_per_member))
    return _budgeted(plane, budget, kind, found)


def _budgeted(plane: Plane, budget: int, kind: str, found: list[Candidate]) -> Budgeted:
    narrowest = plane.columns[0]
    if not found:
        raise PlanError(
            f"a budget of {budget:,} {kind} is below the smallest member measured: width {narrowest.width}"
            f" with {narrowest.parameters:,} parameters. Ask for a budget that holds it, or measure narrower"
            " members."
        )
    return Budgeted(budget, kind, found)


def study_plane(planned: Plan, store: Store, arm: str | None = None) -> tuple[Plane, str]:
    """The plane of a study's members in a store, those that are there, and the arm it is of.

    Raises:
        FitError: No such arm, several and none named, or too few members for a law.
        StoreError: A member is damaged.
    """
    name = f"study {planned.study.name!r} in store {str(store.root)!r}"
    arm = chosen_arm(planned.arms, arm, name)
    pools = [
        members_of(pool) for pool in pools_of(planned, store) if pool.planned.arm == arm and pool.trained
    ]
    if not pools:
        raise FitError(f"{name} has no members yet. Train some with `run` or `search`.")
    return checked(columns_of(pools), name), arm
