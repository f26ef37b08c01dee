"""Why cells cannot be trained, though each of their fields is sound."""

from collections.abc import Sequence

from ..catalog import METHODS
from ..errors import StudyError
from ..records import AnyTask, Cell, MethodOptions, Recipe, Study, Task


def cell_faults(cells: Sequence[Cell], task: AnyTask) -> list[str]:
    """Why some of these cells cannot be trained for a task, one sentence each."""
    found = _crop_faults(cells, task)
    for cell in cells:
        found += method_faults(cell.method, cell.method_options, cell.recipe)
    return found


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


def refuse(study: Study, faults: list[str]) -> None:
    """Ends the planning of a study that has faults.

    Raises:
        StudyError: It lists all of them.
    """
    if faults:
        lines = "\n".join(f"  - {fault}" for fault in faults)
        raise StudyError(f"study {study.name!r} cannot be planned:\n{lines}")
