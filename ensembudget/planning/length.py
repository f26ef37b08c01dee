"""Whether members train long enough for their comparison to mean anything, as far as a plan tells."""

from ..catalog import TASKS
from ..records import AnyTask, Plan, TokenTask


def few_steps(plan: Plan) -> list[str]:
    """A sentence on the cells whose members make too few steps, if there are any.

    Too few are fewer than there are classes; or, where every position of a sample is predicted, than it takes
    one sample a step to have had a position for every token.
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
        return -(-task.classes // (task.length - task.source))
    return task.classes
