"""Why cells cannot be trained although each of their fields is valid."""

from collections.abc import Collection, Sequence

from ..catalog import FAMILIES, METHODS, TASKS
from ..errors import StudyError
from ..records import AnyTask, Cell, MethodOptions, Recipe, Study, Task
from .variants import Variant


def cell_faults(cells: Sequence[Cell], task: AnyTask, study: Study, variant: Variant) -> list[str]:
    """Why some of these cells of a study's variant cannot be trained for a task, one sentence each."""
    by_hand = {*variant.overrides, *(study.tune.values if study.tune else ())}
    found = [*_crop_faults(cells, task), *_foreign_faults(cells, task, by_hand)]
    # Where epochs were cut for a first look, a run may end in its warm-up.
    found += [] if study.first_look else _warmup_faults(cells)
    for cell in cells:
        found += method_faults(cell.method, cell.method_options, cell.recipe)
        found += dropout_faults(cell.family, cell.recipe)
    return found


def dropout_faults(family: str, recipe: Recipe) -> list[str]:
    """Why this family cannot be trained with the recipe's dropout."""
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


def _warmup_faults(cells: Sequence[Cell]) -> list[str]:
    """Why some of these cells would end before their warm-up does, one sentence on the shortest."""
    ended = [cell for cell in cells if cell.recipe.warmup_steps >= cell.steps]
    if not ended:
        return []
    cell = min(ended, key=lambda one: one.steps)
    epochs = cell.recipe.epochs
    return [
        f"recipe.warmup_steps {cell.recipe.warmup_steps:,} is not below the {cell.steps:,} steps of a run"
        f" ({epochs:,} epochs of {cell.steps // epochs:,}): the learning rate never reaches its maximum. Set"
        f" at most {cell.steps - 1:,} (a tenth of all steps is usual), or more epochs."
    ]


def _crop_faults(cells: Sequence[Cell], task: AnyTask) -> list[str]:
    """Why images cannot be padded as some recipe says."""
    widest = max((cell.recipe.crop_padding for cell in cells), default=0)
    if not isinstance(task, Task) or widest < task.image_size:
        return []
    return [
        f"recipe.crop_padding {widest:,} is not below the {task.image_size} pixels of an image: some crops"
        f" would hold nothing of it. Ask for at most {task.image_size - 1}."
    ]


def _foreign_faults(cells: Sequence[Cell], task: AnyTask, by_hand: Collection[str]) -> list[str]:
    """Faults of fields that the study itself sets and that belong to another kind of samples.

    Such fields of the published recipe that it starts from are ignored instead.
    """
    kinds = TASKS.usable()
    own = kinds[task.kind]
    return [
        f"recipe.{' and recipe.'.join(foreign)}: only {kind.samples} have that, and the samples of"
        f" {cells[0].dataset!r} are {own.samples}. Leave it out."
        for kind in kinds.values()
        if cells and (foreign := sorted({*by_hand} & (kind.augmented - own.augmented)))
    ]


def refuse(study: Study, faults: list[str]) -> None:
    """Raises if a study has faults.

    Raises:
        StudyError: It lists all of them.
    """
    if faults:
        lines = "\n".join(f"  - {fault}" for fault in faults)
        raise StudyError(f"study {study.name!r} cannot be planned:\n{lines}")
