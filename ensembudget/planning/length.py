"""Warnings of a plan: members that train for too few steps, or are too few, to be compared."""

from collections.abc import Sequence

from ..catalog import TASKS
from ..records import AnyTask, Plan, Study, TokenTask

FEW = 5  # members of a pool below which the rule of its intervals is told


def few_steps(plan: Plan) -> list[str]:
    """A sentence on the cells whose members make too few steps, if there are any.

    Members should make one step a class at least. Where every position is predicted, classes are tokens, and
    one sample a step should reach as many predicted positions as there are tokens.
    """
    if plan.task is None:
        return []
    least = _least(plan.task)
    short = [one.cell for one in plan.cells if one.cell.steps < least]
    if not short:
        return []
    fewest = min(short, key=lambda cell: cell.steps)
    widths = ", ".join(map(str, dict.fromkeys(cell.width for cell in short)))
    kind, classes = TASKS[plan.task.kind], plan.task.classes
    return [
        f"TOO SHORT: members of width {widths} make as few as {fewest.steps} steps for"
        f" {f'{classes:,} tokens' if kind.positions else f'{classes} classes'}"
        f" ({fewest.train_size:,} {kind.samples} in batches of"
        f" {fewest.recipe.batch_size}, {fewest.recipe.epochs} epochs): they have learned next to nothing, and"
        f" comparing them says nothing. Train on more {kind.samples}, in smaller batches or for more epochs."
    ]


def _least(task: AnyTask) -> int:
    if isinstance(task, TokenTask) and TASKS[task.kind].positions:
        return -(-task.classes // task.predicted)
    return task.classes


def few_members(plan: Plan, trained: Sequence[int] | None = None) -> list[str]:
    """A sentence on the pools of fewer than 5 members, among those of the splits, if there are any.

    Args:
        plan: The plan of a study.
        trained: How many members of each cell there are, in the plan's order; by default those planned.
    """
    compared = {(split.setting, split.width) for split in plan.splits}
    counts = [one.members for one in plan.cells] if trained is None else trained
    few: dict[int, list[int]] = {}
    for one, count in zip(plan.cells, counts, strict=True):
        if (one.setting, one.cell.width) in compared and 0 < count < FEW:
            few.setdefault(count, []).append(one.cell.width)
    if not few:
        return []
    each = [
        f"{count} {'member' if count == 1 else 'members'} (widths"
        f" {', '.join(map(str, dict.fromkeys(widths)))})"
        for count, widths in sorted(few.items())
    ]
    return [
        f"Pools of {' and of '.join(each)}: intervals are wide and rest on normally distributed members;"
        f" {Study.model_fields['pool'].default} is the default."
    ]
