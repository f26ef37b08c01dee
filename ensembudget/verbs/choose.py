"""Chooses what to export: a split of a budget, and which members of its pool."""

from dataclasses import dataclass
from typing import Any

from ..analysis.splits import SplitResult, budget_results
from ..budgets._parse import parse_budget
from ..catalog import INPUTS
from ..errors import ArgumentError, ExportError, IncompleteError, PlanError
from ..executors._base import Job
from ..methods._options import unit_of
from ..records import Plan, Run, Setting, Split, Study
from ..scoring.pools import Results
from ..store import Store, Stored
from .evaluate import evaluate
from .jobs import weight_jobs
from .plan import stored_plan

FLAGS = {
    "arm": "--arm",
    "tuned": "--tuned",
    "train_size": "--images",
    "subset": "--subset",
    "dtype": "--dtype",
}


@dataclass(frozen=True)
class ExportChoice:
    """What will be exported, and what must be trained for that.

    Attributes:
        plan: The study's, with the splits of this budget and setting alone.
        result: The split with its scores.
        named: Whether the split was named; else it has the lowest CNLL of its budget.
        members: The first of its pool that did not diverge.
        jobs: What trains them again, where their weights were not kept.
        seconds: What those take one after another, by how long they took before.
    """

    plan: Plan
    result: SplitResult
    named: bool
    members: list[Stored]
    jobs: list[Job]
    seconds: float

    @property
    def repeated(self) -> list[Run]:
        """The members that are trained again."""
        return [run for job in self.jobs for run in job.runs]


def choose_export(
    study: Study,
    store: Store,
    budget: str | int,
    members: int | None = None,
    *,
    arm: str | None = None,
    tuned: bool | None = None,
    train_size: int | None = None,
    subset: int | None = None,
    dtype: str | None = None,
    device: str = "cpu",
) -> ExportChoice:
    """Chooses a split of a study and members of its pool; trains nothing.

    Args:
        study: What was run.
        store: Where its members are.
        budget: One of the study's, as people write it.
        members: Of the split; None takes the one with the lowest CNLL on the test samples.
        arm: As are the next four, needed where the study has several: which setting.
        tuned: Whether its recipe was tuned.
        train_size: Training images.
        subset: Which draw of training images, from 0.
        dtype: How weights are stored.
        device: Where weights are trained that were not kept.

    Raises:
        ArgumentError: No such budget, split or setting, or several settings.
        ExportError: Its members are units of several networks, or of a kind that is not exported.
        IncompleteError: Members are missing.
    """
    planned = stored_plan(study, store)
    _refuse_kind(planned)
    of_budget = _of_budget(planned, budget)
    asked = {"arm": arm, "tuned": tuned, "train_size": train_size, "subset": subset, "dtype": dtype}
    splits = _of_setting(
        of_budget, {name: value for name, value in asked.items() if value is not None}, study
    )
    _refuse_units(planned, splits[0])
    widths = {split.width for split in splits}
    pools = [one for one in planned.cells if one.setting == splits[0].setting and one.cell.width in widths]
    part = planned.model_copy(update={"splits": splits, "cells": pools, "tuning": []})
    result = _split_of(evaluate(part, store), members, study)
    stored = result.pool.trained[: result.split.members]
    cell = result.pool.planned.trained
    jobs = weight_jobs(cell, [one.member.run.trained for one in stored], store, device)
    took = {one.member.run.trained.key: one.member.seconds for one in result.pool.stored}
    seconds = sum(took[run.key] for job in jobs for run in job.runs)
    return ExportChoice(part, result, members is not None, stored, jobs, seconds)


def _of_budget(planned: Plan, budget: str | int) -> list[Split]:
    """The splits of a budget, of all settings."""
    study = planned.study
    there = sorted({(split.budget, split.budget_kind) for split in planned.splits})
    asked: tuple[int, str] | None = None
    try:
        asked = parse_budget(budget, study.budget_kind)
    except PlanError:
        parse_budget(budget)  # what is no budget of any kind is said so
    if asked not in there:
        known = ", ".join(f"{amount:,}" for amount, _ in there) or "none"
        raise ArgumentError(
            f"study {study.name!r} has no budget {budget!r}. Its budgets in {study.budget_kind}: {known}. Ask"
            " for one of these, or add it to the study's `budgets` and `run` it."
        )
    return [split for split in planned.splits if (split.budget, split.budget_kind) == asked]


def _of_setting(splits: list[Split], asked: dict[str, Any], study: Study) -> list[Split]:
    """The splits of the chosen setting."""
    settings = list(dict.fromkeys(split.setting for split in splits))
    found = [one for one in settings if all(getattr(one, name) == value for name, value in asked.items())]
    if len(found) == 1:
        return [split for split in splits if split.setting == found[0]]
    if found:
        several = [flag for name, flag in FLAGS.items() if len({getattr(one, name) for one in found}) > 1]
        raise ArgumentError(
            f"study {study.name!r} has {len(found)} settings at this budget: {_labels(found)}. Choose one"
            f" with {' and '.join(several)}."
        )
    said = ", ".join(f"{FLAGS[name]} {_word(value)}" for name, value in asked.items())
    raise ArgumentError(
        f"study {study.name!r} has no setting with {said} at this budget. It has {_labels(settings)}."
    )


def _refuse_kind(planned: Plan) -> None:
    """A plan that an older version saved has no task, and is of images."""
    if planned.task and planned.task.kind not in INPUTS:
        raise ExportError(
            f"members of study {planned.study.name!r} do {planned.task.kind}, and only those of"
            f" {', '.join(INPUTS)} are exported. Their weights are in the store, if the study says"
            " keep_weights = true: `Store(...).weights(key)`."
        )


def _refuse_units(planned: Plan, split: Split) -> None:
    cell = planned.cell_of(split).cell
    unit = unit_of(cell.method, cell.method_options)
    if not unit.is_network:
        raise ExportError(
            f"members of {split.setting.label or planned.study.name!r} are units of {unit.predictors:,}"
            f" predictors (method {cell.method!r}), whose weights are not kept, and no format holds them."
            " Export a split whose members are single networks."
        )


def _labels(settings: list[Setting]) -> str:
    return "; ".join(one.label or "one setting, without a name" for one in settings)


def _word(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _split_of(results: Results, members: int | None, study: Study) -> SplitResult:
    """The chosen split, or the best; with scores."""
    (budget,) = budget_results(results, {})
    if members is None:
        if budget.best is None:
            raise IncompleteError(
                f"study {study.name!r} has no scored split of this budget: members diverged."
            )
        return budget.best
    by_size = {one.split.members: one for one in budget.splits}
    if members not in by_size:
        raise ArgumentError(
            f"study {study.name!r} has no split of {members} members at this budget. It has"
            f" {', '.join(map(str, by_size))}."
        )
    found = by_size[members]
    if found.score is None:
        raise IncompleteError(
            f"the split of {members} members has {len(found.pool.trained)} members that did not diverge. Name"
            " another with --members."
        )
    return found
