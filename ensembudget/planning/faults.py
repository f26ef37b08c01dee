"""Why cells cannot be trained, though each of their fields is sound."""

from collections.abc import Sequence

from ..catalog import FAMILIES, METHODS
from ..records import AnyTask, Cell, MethodOptions, Recipe, Task


def cell_faults(cells: Sequence[Cell], task: AnyTask) -> list[str]:
    """Why some of these cells cannot be trained for a task, one sentence each."""
    found = _crop_faults(cells, task)
    for cell in cells:
        found += method_faults(cell.method, cell.method_options, cell.recipe)
        found += dropout_faults(cell.family, cell.recipe)
    return found


def dropout_faults(family: str, recipe: Recipe) -> list[str]:
    """Why this family cannot have the recipe's dropout."""
    if FAMILIES[family].dropout or not recipe.dropout:
        return []
    return [
        f"recipe.dropout {recipe.dropout:g} needs masks from each member's own random stream, and family"
        f" {family!r} has no layers for that. Set recipe.dropout to 0, or choose a family of our own."
    ]


def method_faults(method: str, options: MethodOptions, recipe: Recipe) -> list[str]:
    """Why a method cannot make its units of a run by this recipe; options are all of the method's."""
    fault = METHODS[method].fault(recipe, options)
    return [f"method {method!r}: {fault}"] if fault else []


def _crop_faults(cells: Sequence[Cell], task: AnyTask) -> list[str]:
    """Why images cannot be padded as some recipe says."""
    widest = max((cell.recipe.crop_padding for cell in cells), default=0)
    if not isinstance(task, Task) or widest < task.image_size:
        return []
    return [
        f"recipe.crop_padding {widest:,} is not below the {task.image_size} pixels of an image: some crops"
        f" would hold nothing of it. Ask for at most {task.image_size - 1}."
    ]
