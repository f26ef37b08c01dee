"""Spends training only where the best split of a budget is still open."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from ..budgets._parse import parse_budget
from ..datasets._load import task_of
from ..errors import IncompleteError, PlanError
from ..executors._base import Outcome
from ..planning.widths import cost
from ..prediction.choice import GONE, START, Candidate, Decision, Option, decide
from ..prediction.plane import LEAST_WIDTHS, Members, chosen_arm, members_of
from ..records import Plan, PlannedCell, Prediction, Round, Search, SteppingChoice, Study
from ..scoring.pools import Pool, pools_of
from ..store import Store
from .plan import plan_study
from .predict import Budgeted, predict
from .run import arrange, train_missing

TOLERANCE, CONFIDENCE = 0.01, 0.95
_PREFIXES = " kMGTPEZ"  # of FLOP, a thousand each
_SPEND = re.compile(r"([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]{1,2})?)\s*(?:%|(([kMGTPEZ]?)FLOPs?))")


@dataclass(frozen=True)
class Space:
    """What a search may choose and what it may train.

    Attributes:
        search: Whose rounds these are, without them.
        budget: The splits to choose from.
        planned: Every cell that may be trained: of the budget's widths, and narrower ones of the study.
        parameters: Of one member, by width.
        grid: Operations to train all that the study would train for this budget.
    """

    search: Search
    budget: Budgeted
    planned: Plan
    parameters: dict[int, int]
    grid: float

    @cached_property
    def cells(self) -> dict[int, PlannedCell]:
        return {cell.cell.width: cell for cell in self.planned.cells}


@dataclass(frozen=True)
class Step:
    """A search between two rounds: what it knows, what it has spent, and what it trains next."""

    decision: Decision
    rounds: tuple[Round, ...]
    spent: float


@dataclass(frozen=True)
class Found:
    """How a search ended."""

    step: Step
    prediction: Prediction | None  # none where members failed before there was a law
    outcomes: list[Outcome] = field(default_factory=list)


def space_of(study: Study, written: str, arm: str | None = None) -> Space:
    """The splits of a budget and the cells that tell of them.

    Raises:
        StudyError: The budget cannot be planned.
        FitError: No such arm.
        PlanError: Too few widths for a law, or splits to choose from.
    """
    parse_budget(written, study.budget_kind)  # a fault is said once, not for each n
    one = plan_study(study.model_copy(update={"budgets": [written], "widths": []}))
    arm = chosen_arm(one.arms, arm, f"study {study.name!r}")
    splits = [split for split in one.splits if split.arm == arm]
    needed = [cell for cell in one.cells if cell.arm == arm]
    sizes = [split.members for split in splits]
    if 1 not in sizes or len(sizes) < 2:
        raise PlanError(
            f"budget {written!r} of study {study.name!r} has splits of n ="
            f" {', '.join(map(str, sizes)) or 'none'}; a search compares the wide network, n = 1, with at"
            " least one other. Give the study more `members`, or ask for a larger budget."
        )
    whole = plan_study(study.model_copy(update={"budgets": [*_others(study, written), written]}))
    costliest = max(cell.training_flops for cell in needed)
    cells = [cell for cell in whole.cells if cell.arm == arm and cell.training_flops <= costliest]
    carrying = sum(cell.members >= START for cell in cells)
    if carrying < LEAST_WIDTHS:
        raise PlanError(
            f"budget {written!r} of study {study.name!r} has {carrying} widths to train {START} members of,"
            f" and a law needs {LEAST_WIDTHS}. Add narrower ones to the study's `widths`, or raise"
            " `members` or `pool`."
        )
    candidates = [Candidate(s.members, s.width, s.parameters_per_member) for s in splits]
    budget, kind, task = splits[0].budget, splits[0].budget_kind, task_of(study.dataset)
    return Space(
        search=Search(study=study, arm=arm, budget=f"{budget} {kind}"),
        budget=Budgeted(budget, kind, sorted(candidates)),
        planned=whole.model_copy(update={"cells": cells}),
        parameters={
            cell.cell.width: cost(study.family, cell.cell.width, task, options=cell.cell.options)
            for cell in cells
        },
        grid=sum(cell.members * cell.training_flops for cell in needed),
    )


def _others(study: Study, written: str) -> list[str | int]:
    """The study's budgets but the one that is asked for."""
    asked = parse_budget(written, study.budget_kind)
    return [one for one in study.budgets if parse_budget(one, study.budget_kind) != asked]


def spend_of(written: str, grid: float) -> float:
    """Operations of training as people write them, `25%` of the grid or `40TFLOP`.

    Raises:
        PlanError: Neither, or nothing at all.

    Example:
        >>> spend_of("25%", 8e12), spend_of("40TFLOP", 8e12)
        (2000000000000.0, 40000000000000.0)
    """
    match = _SPEND.fullmatch(written.strip())
    if not match:
        raise PlanError(f"--spend {written!r} is no amount of training. Write it like 25% or 40TFLOP.")
    number = float(match[1])
    if not match[2]:
        if not 0 < number <= 100:
            raise PlanError(f"--spend {written!r} is no share of the grid. Write it like 25%, or as 40TFLOP.")
        return number / 100 * grid
    if number <= 0:
        raise PlanError(f"--spend {written!r} buys no training. Write it like 25% or 40TFLOP.")
    return number * 1000.0 ** _PREFIXES.index(match[3] or " ")


def search(
    space: Space,
    store: Store,
    spend: float,
    *,
    tolerance: float = TOLERANCE,
    confidence: float = CONFIDENCE,
    executor: str = "serial",
    device: str = "cpu",
    on_step: Callable[[Step], None] = lambda step: None,
) -> Found:
    """Trains, a few members at a time, what tells most of the best split for its cost.

    Args:
        space: As from `space_of`.
        store: What is there is used; members are published as `run` would.
        spend: Operations of training that this search may take, earlier rounds of it included.
        tolerance: A split this fraction above the lowest CNLL is as good as the best.
        confidence: With which the chosen split must be that good.
        executor: `serial`, `processes` or `ray`.
        device: A torch device.
        on_step: Called before every round and at the end.

    Raises:
        PlanError: No such executor or device, or a tolerance or confidence that cannot be.
        IncompleteError: The spend is gone before there is a law.
    """
    _check(tolerance, confidence)
    # Members come one by one: a pack would train more than what is asked for.
    alone = SteppingChoice(pack=1)
    arrangement = arrange(space.planned, store, executor=executor, device=device, stepping=alone)
    scored: dict[tuple[int, int], Members] = {}
    while True:
        step = look(space, store, spend, tolerance=tolerance, confidence=confidence, scored=scored)
        on_step(step)
        if step.decision.width is None:
            return Found(step, _answer(space, step, spend))
        part = _next(space, store, step.decision)
        store.save_search(_with_round(space, step, part, store))
        outcomes = train_missing(part, store, arrangement, executor)
        if any(one.status == "failed" for one in outcomes):
            known = step.decision.posterior is not None
            return Found(step, _answer(space, step, spend) if known else None, outcomes)


def look(
    space: Space,
    store: Store,
    spend: float,
    *,
    tolerance: float = TOLERANCE,
    confidence: float = CONFIDENCE,
    scored: dict[tuple[int, int], Members] | None = None,
) -> Step:
    """What a search would do next; nothing is trained.

    Args:
        space: As from `space_of`.
        store: What is there.
        spend: As of `search`.
        tolerance: As of `search`.
        confidence: As of `search`.
        scored: Pools that were scored before, by width and number of members.
    """
    _check(tolerance, confidence)
    rounds = tuple(_kept(one, store) for one in store.saved_search(space.search).rounds)
    rounds = tuple(one for one in rounds if one.keys)
    spent = sum(one.flops for one in rounds)
    pools = pools_of(space.planned, store)
    decision = decide(
        [_members(pool, {} if scored is None else scored) for pool in pools if pool.trained],
        [_option(space, pool) for pool in pools],
        space.budget.candidates,
        left=spend - spent,
        tolerance=tolerance,
        confidence=confidence,
    )
    return Step(decision, rounds, spent)


def _kept(one: Round, store: Store) -> Round:
    """A round without the members that were never trained: it may have been broken off."""
    there = [(seed, key) for seed, key in zip(one.seeds, one.keys, strict=True) if key in store]
    return one.model_copy(
        update={
            "seeds": [seed for seed, _ in there],
            "keys": [key for _, key in there],
            "flops": one.flops * len(there) / len(one.keys),
        }
    )


def _check(tolerance: float, confidence: float) -> None:
    for name, value in (("tolerance", tolerance), ("confidence", confidence)):
        if not 0 < value < 1:
            raise PlanError(f"--{name} {value:g} must lie between 0 and 1, say 0.01 and 0.95.")


def _members(pool: Pool, scored: dict[tuple[int, int], Members]) -> Members:
    place = (pool.planned.cell.width, len(pool.trained))
    if place not in scored:
        scored[place] = members_of(pool)
    return scored[place]


def _option(space: Space, pool: Pool) -> Option:
    cell = pool.planned
    return Option(
        width=cell.cell.width,
        parameters=space.parameters[cell.cell.width],
        flops=cell.training_flops,
        trained=len(pool.trained),
        most=cell.members - pool.diverged,
    )


def _next(space: Space, store: Store, decision: Decision) -> Plan:
    """The plan up to the members that are asked for."""
    assert decision.width is not None
    cell = space.cells[decision.width]
    missing = [run.seed for run in cell.runs if run.key not in store][: decision.number]
    part = cell.model_copy(update={"members": missing[-1] + 1})
    return space.planned.model_copy(update={"cells": [part]})


def _with_round(space: Space, step: Step, part: Plan, store: Store) -> Search:
    (cell,), decision = part.cells, step.decision
    runs = [run for run in cell.runs if run.key not in store]
    new = Round(
        width=cell.cell.width,
        seeds=[run.seed for run in runs],
        keys=[run.key for run in runs],
        flops=len(runs) * cell.training_flops,
        best=decision.best.members if decision.best else None,
        confidence=decision.confidence,
        loss=decision.loss if decision.best else None,
        reason=decision.reason,
    )
    return space.search.model_copy(update={"rounds": [*step.rounds, new]})


def _answer(space: Space, step: Step, spend: float) -> Prediction:
    if step.decision.posterior is None:
        cells = sorted(cell.training_flops for cell in space.planned.cells if cell.members >= START)
        share = START * sum(cells[:LEAST_WIDTHS]) / space.grid
        advice = (
            f". {START} members of each of the {LEAST_WIDTHS} cheapest widths take"
            f" {math.ceil(1000 * share) / 10:g}% of the grid: ask for a --spend of that at least"
        )
        raise IncompleteError(
            f"the search has no answer: {step.decision.reason} ({step.spent:.3g} of {spend:.3g} FLOP)"
            f"{advice if step.decision.reason == GONE else ''}."
        )
    (prediction,) = predict(step.decision.posterior, [space.budget])
    return prediction
