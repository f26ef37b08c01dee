"""Whether members train long enough, and are enough, to be compared, as far as a plan tells."""

from collections.abc import Sequence

from ..records import Plan, Study

FEW = 5  # members of a pool below which the rule of its intervals is told


def few_steps(plan: Plan) -> list[str]:
    """A sentence on the cells whose members make fewer steps than there are classes, if there are any."""
    if plan.task is None:
        return []
    short = [one.cell for one in plan.cells if one.cell.steps < plan.task.classes]
    if not short:
        return []
    fewest = min(short, key=lambda cell: cell.steps)
    widths = ", ".join(map(str, dict.fromkeys(cell.width for cell in short)))
    return [
        f"TOO SHORT: members of width {widths} make as few as {fewest.steps} steps for"
        f" {plan.task.classes} classes ({fewest.train_size:,} images in batches of"
        f" {fewest.recipe.batch_size}, {fewest.recipe.epochs} epochs): they have learned next to nothing, and"
        " comparing them says nothing. Train on more images, in smaller batches or for more epochs."
    ]


def few_members(plan: Plan, trained: Sequence[int] | None = None) -> list[str]:
    """A sentence on the pools of fewer than 5 members that splits are compared by, if there are any.

    Args:
        plan: A study's.
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
