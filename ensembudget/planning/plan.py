"""From a study to the runs that it needs."""

from collections.abc import Mapping

from ..budgets._parse import parse_budget
from ..errors import EnsembudgetError, PlanError, StudyError
from ..families._build import resolve_options
from ..records import Cell, Plan, PlannedCell, Split, Study, Task
from .variants import Variant, variants_of
from .widths import WIDEST, cost, split

MOST_MEMBERS = 100_000  # of one width: a pool beyond it is a typing error


def plan(study: Study, task: Task, *, digest: str, dataset: str, train_images: int) -> Plan:
    """A study's splits, and the pools of members that serve them all.

    Args:
        study: What is asked.
        task: What the dataset asks of a network.
        digest: The decoded images' own hash.
        dataset: What tables call the dataset.
        train_images: How many training images it has.

    Raises:
        StudyError: Faults that show only beside the data or the widths, all at once.
    """
    train_size = study.train_size or train_images - study.validation_size
    splits, pools, faults = list[Split](), list[tuple[Variant, dict[int, int]]](), list[str]()
    for variant in variants_of(study):
        found, wrong = _splits(study, variant, task)
        its = dict.fromkeys(study.widths, study.pool)
        for each in found:
            its[each.width] = max(its.get(each.width, study.pool), each.members * study.replicates)
        splits += found
        pools.append((variant, its))
        faults += [fault for fault in wrong + _pool_faults(study, variant, task, its) if fault not in faults]
    if train_size < 1 or train_size + study.validation_size > train_images:
        faults.append(
            f"train_size {train_size:,} and validation_size {study.validation_size:,} need more than"
            f" the {train_images:,} training images of {dataset!r}."
            f" Ask for train_size at most {max(0, train_images - study.validation_size):,}."
        )
    if faults:
        lines = "\n".join(f"  - {fault}" for fault in faults)
        raise StudyError(f"study {study.name!r} cannot be planned:\n{lines}")

    def planned(variant: Variant, width: int, members: int) -> PlannedCell:
        found = variant.recipe(study.family, dataset, width)
        cell = Cell(
            family=study.family,
            options=resolve_options(study.family, variant.options),
            width=width,
            dataset=dataset,
            dataset_digest=digest,
            train_size=train_size,
            validation_size=study.validation_size,
            mode=variant.mode,
            recipe=found.recipe,
            record=study.record,
        )
        flops = cost(study.family, width, task, "flops", options=variant.options)
        return PlannedCell(
            arm=variant.arm, cell=cell, members=members, origin=found.origin, flops_per_sample=flops
        )

    cells = [planned(variant, *pool) for variant, its in pools for pool in sorted(its.items())]
    arms: dict[str, str] = {}
    for one in cells:
        if (twin := arms.setdefault(one.cell.key, one.arm)) != one.arm:
            raise StudyError(
                f"study {study.name!r} cannot be planned:\n  - arms {twin!r} and {one.arm!r} train the same"
                f" networks of width {one.cell.width}. Let them differ, or leave one out."
            )
    return Plan(study=study, splits=splits, cells=cells)


def _splits(study: Study, variant: Variant, task: Task) -> tuple[list[Split], list[str]]:
    """The splits of every budget, and why some cannot be."""
    if study.narrowest > WIDEST:
        return [], [f"narrowest {study.narrowest:,} is above {WIDEST:,}, the widest that is counted."]
    splits, faults = [], []
    for written in study.budgets:
        for members in study.members:
            try:
                one = _study_split(study, variant, task, written, members)
            except EnsembudgetError as error:
                faults.append(f"budgets {written!r}, members {members}: {error}")
                continue
            if one:
                splits.append(one)
    if not study.budgets and not study.widths:
        faults.append("budgets: none given, and no widths. Give one of them.")
    elif not faults and not splits and not study.widths:
        faults.append(f"narrowest {study.narrowest}: every split is narrower. Lower it, or raise budgets.")
    return splits, faults


def _pool_faults(study: Study, variant: Variant, task: Task, pools: Mapping[int, int]) -> list[str]:
    """Widths that cannot be counted, and pools that are a typing error."""
    faults = []
    for width in study.widths:
        try:
            cost(study.family, width, task, options=variant.options)
        except PlanError as error:
            faults.append(f"widths: {error}")
    width, members = max(pools.items(), key=lambda item: item[1], default=(0, 0))
    if members > MOST_MEMBERS:
        faults.append(
            f"pool {study.pool:,} and replicates {study.replicates:,} ask for {members:,} members of"
            f" width {width}; at most {MOST_MEMBERS:,} are trained. Lower them."
        )
    return faults


def _study_split(
    study: Study, variant: Variant, task: Task, written: str | int, members: int
) -> Split | None:
    """One split of a study, or None where it is narrower than the study goes."""
    budget, kind = parse_budget(written, study.budget_kind)
    least = members * cost(
        study.family, study.narrowest, task, kind, options=variant.options, dtype=study.dtype
    )
    if study.narrowest > 1 and least > budget * (1 + study.tolerance):
        return None
    found = split(
        study.family, task, budget, members, kind,
        options=variant.options, multiple_of=study.multiple_of, dtype=study.dtype,
    )  # fmt: skip
    if found.width < study.narrowest:
        return None
    if abs(found.error_percent) > 100 * study.tolerance:
        raise PlanError(
            f"the nearest width, {found.width}, misses the budget by {found.error_percent:+.1f}%, more than"
            f" the tolerance of {100 * study.tolerance:.0f}%. Ask for a budget of"
            f" {round(budget * (1 + found.error_percent / 100)):,}, or a larger tolerance."
        )
    return found.model_copy(update={"arm": variant.arm})
