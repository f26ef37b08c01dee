"""A study cut short for a first look: fewer epochs, fewer samples, fewer members."""

from typing import Any

from ..errors import ArgumentError
from ..records import RecipeChoice, Study


def first_look(
    study: Study, *, epochs: int | None = None, train_size: int | None = None, limit: int | None = None
) -> Study:
    """The study cut short: another study, whose name and tables say what was replaced.

    Its members lie in the same store beside those of the whole study, and neither stands in for the other.

    Args:
        study: The whole study.
        epochs: In place of all epochs that it lists, swept or tuned ones too.
        train_size: Training samples, in place of all its sizes.
        limit: Members of each width at most; ensembles of more members are left out.

    Returns:
        The study as it is where nothing is replaced.

    Raises:
        ArgumentError: A number below 1.

    Example:
        >>> study = Study(name="x", description="", family="vgg", dataset="digits", members=[1, 2, 8])
        >>> look = first_look(study, epochs=3, limit=4)
        >>> look.name, look.recipe.epochs, look.members, look.pool
        ('x-epochs3-limit4', 3, [1, 2], 4)
    """
    asked = {"epochs": epochs, "train-size": train_size, "limit": limit}
    given = {name: number for name, number in asked.items() if number is not None}
    if wrong := [f"--{name} {number}" for name, number in given.items() if number < 1]:
        raise ArgumentError(f"{', '.join(wrong)}: it must be at least 1.")
    if not given:
        return study
    said = ", ".join(f"{name} {number:,}" for name, number in given.items())
    changes: dict[str, Any] = {
        "name": "-".join([study.name, *(f"{name}{number}" for name, number in given.items())]),
        "first_look": said,
    }
    if train_size is not None:
        kept = {size: fields for size, fields in study.recipe_at.items() if size == str(train_size)}
        changes |= {"train_size": train_size, "recipe_at": kept}
        study = study.model_copy(update=changes)
    if epochs is not None:
        changes |= _epochs(study, epochs)
    if limit is not None:
        members = [number for number in study.members if number <= limit] or [1]
        replicates = max(1, min(study.replicates, limit // max(members)))
        changes |= {"members": members, "replicates": replicates, "pool": min(study.pool, limit)}
    return study.model_copy(update=changes)


def _epochs(study: Study, epochs: int) -> dict[str, Any]:
    """Every place where a study says how many epochs."""

    def shortened(recipe: RecipeChoice) -> RecipeChoice:
        return recipe if recipe.epochs is None else recipe.model_copy(update={"epochs": epochs})

    tune = study.tune
    if tune is not None and "epochs" in tune.values:
        left = {field: values for field, values in tune.values.items() if field != "epochs"}
        tune = tune.model_copy(update={"values": left}) if left else None
    return {
        "recipe": study.recipe.model_copy(update={"epochs": epochs}),
        "recipe_at": {size: shortened(one) for size, one in study.recipe_at.items()},
        "arms": [arm.model_copy(update={"recipe": shortened(arm.recipe)}) for arm in study.arms],
        "sweep": {field: values for field, values in study.sweep.items() if field != "epochs"},
        "tune": tune,
    }
