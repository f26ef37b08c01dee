"""Whether members train long enough for their comparison to mean anything, as far as a plan tells."""

from ..records import Plan


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
