"""What tuning tries: combinations of values, rounds, and what is wrong with a study's `tune`."""

from collections.abc import Callable, Iterator
from itertools import product
from math import ceil, prod
from typing import NamedTuple

from ..catalog import TASKS
from ..errors import did_you_mean
from ..records import (
    TUNING_SEED,
    AnyTask,
    Combination,
    Plan,
    PlannedCell,
    Recipe,
    Setting,
    Study,
    Tune,
    Tuning,
    Value,
    Values,
)
from .variants import Variant

MOST_COMBINATIONS = 200  # for one width: more is a typing error
MOST_MEMBERS = 1_000  # of one combination
LEAST_VALIDATION = 50  # samples: fewer cannot tell one recipe from another


class Stage(NamedTuple):
    """One round of tuning: how many combinations are in it, and how many members each has at its end."""

    combinations: int
    members: int


TuningPlace = tuple[Setting, int]  # where a choice stands on the study's axes, and its width


def place_of(pool: PlannedCell) -> TuningPlace:
    """Which choice a pool uses: all subsets of training samples, and all dtypes, share one."""
    return _shared(pool.setting), pool.cell.width


def _shared(setting: Setting) -> Setting:
    return setting._replace(tuned=None, subset=None, dtype="")


def stages(tuning: Tuning | Tune, combinations: int) -> list[Stage]:
    """The rounds of tuning, first to last.

    Example:
        >>> tune = Tune(method="halving", members=4, values={"weight_decay": [1e-4, 1e-3, 1e-2]})
        >>> [tuple(stage) for stage in stages(tune, 6)]
        [(6, 1), (3, 2), (2, 4)]
    """
    if tuning.method == "grid":
        return [Stage(combinations, tuning.members)]
    found = [Stage(combinations, 1)]
    while found[-1].members < tuning.members and found[-1].combinations > 2:
        last = found[-1]
        found.append(Stage(ceil(last.combinations / 2), min(2 * last.members, tuning.members)))
    return found


def combinations_of(tune: Tune) -> list[Values]:
    """Every combination of the values: fields sorted by name, values as listed, the last fastest."""
    fields = sorted(tune.values)
    return [
        dict(zip(fields, values, strict=True))
        for values in product(*(tune.values[field] for field in fields))
    ]


def tuning_of(tune: Tune, own: PlannedCell, recipe_of: Callable[[Values], Recipe]) -> Tuning:
    """The choice that a pool of the study's own recipe calls for.

    Args:
        tune: The study's.
        own: The pool, in float32; of several subsets of training samples, the first.
        recipe_of: The recipe with these values over it.
    """
    cell = own.cell.model_copy(update={"record": None})
    combinations = [
        Combination(values=values, cell=cell.model_copy(update={"recipe": recipe_of(values)}))
        for values in combinations_of(tune)
    ]
    recipes = [one.cell.recipe for one in combinations]
    return Tuning(
        **_shared(own.setting)._asdict(),
        method=tune.method,
        members=tune.members,
        combinations=combinations,
        own=recipes.index(cell.recipe) if cell.recipe in recipes else None,
        flops_per_sample=own.flops_per_sample,
    )


def with_choice(own: PlannedCell, tuning: Tuning) -> PlannedCell:
    """The pool that a choice makes of one of the study's own recipe."""
    chosen = tuning.chosen
    assert chosen is not None
    cell = own.cell.model_copy(update={"recipe": chosen.cell.recipe})
    return own.model_copy(update={"tuned": True, "cell": cell, "origin": "chosen", "chosen": chosen.values})


def choosers(tuning: Tuning, number: int, members: int, before: int = 0) -> PlannedCell:
    """The members that judge one combination, without the first `before` of them."""
    return PlannedCell(
        **tuning.setting._asdict(),
        cell=tuning.combinations[number].cell,
        members=members - before,
        first_seed=TUNING_SEED + before,
        origin="default",
        flops_per_sample=tuning.flops_per_sample,
    )


def flops_at_most(tuning: Tuning) -> float:
    """Floating-point operations that tuning costs, where the costliest combinations go on to the end."""
    each = sorted(
        (choosers(tuning, i, 1).training_flops for i in range(len(tuning.combinations))), reverse=True
    )
    total, before = 0.0, 0
    for stage in stages(tuning, len(each)):
        total += (stage.members - before) * sum(each[: stage.combinations])
        before = stage.members
    return total


def most_members(tuning: Tuning) -> int:
    """How many members tuning takes, all combinations together."""
    total, before = 0, 0
    for stage in stages(tuning, len(tuning.combinations)):
        total += (stage.members - before) * stage.combinations
        before = stage.members
    return total


class Edge(NamedTuple):
    """A chosen value beyond which nothing was tried."""

    field: str
    value: Value
    side: str  # "lowest" or "highest"


def edges(tuning: Tuning) -> list[Edge]:
    """The numbers that were chosen at an end of what was tried; nothing lies below 0."""
    if tuning.chosen is None:
        return []
    found = []
    for field, value in tuning.chosen.values.items():
        tried = {one.values[field] for one in tuning.combinations}
        if isinstance(value, str | bool) or len(tried) < 2:
            continue
        numbers = [one for one in tried if isinstance(one, int | float)]
        if value == max(numbers):
            found.append(Edge(field, value, "highest"))
        elif value == min(numbers) and value > 0:
            found.append(Edge(field, value, "lowest"))
    return found


class Following(NamedTuple):
    """Tuned pools that are planned once all choices of their setting are made: what they cost at most."""

    members: int
    flops: float


def following(plan: Plan) -> Following:
    """What is still to be planned of a study that tunes."""
    there = {place_of(one) for one in plan.cells if one.tuned}
    members, flops = 0, 0.0
    for tuning in plan.tuning:
        for one in plan.cells:
            if place_of(one) == (tuning.setting, tuning.width) and place_of(one) not in there:
                costliest = max(
                    choosers(tuning, i, 1).training_flops for i in range(len(tuning.combinations))
                )
                members += one.members
                flops += one.members * costliest
    return Following(members, flops)


def tunable(study: Study, variant: Variant) -> Iterator[Variant]:
    """The variant with each combination over it; none where there are none, or too many."""
    if (
        study.tune
        and not any(_number_faults(study.tune))
        and set(study.tune.values) <= set(Recipe.model_fields)
    ):
        yield from (tuned(variant, values) for values in combinations_of(study.tune))


def tuned(variant: Variant, values: Values) -> Variant:
    """The variant with these values of recipe fields."""
    return variant._replace(overrides={**variant.overrides, **values})


def tune_faults(study: Study) -> Iterator[str]:
    """Why a study cannot be tuned, as far as its data are not needed to know, one sentence a fault."""
    tune = study.tune
    if tune is None:
        return
    known = list(Recipe.model_fields)
    for field, values in tune.values.items():
        if field not in known:
            yield (
                f"tune: {field!r} is no field of a recipe.{did_you_mean(field, known)}"
                f" Known: {', '.join(known)}."
            )
        if repeated := [value for i, value in enumerate(values) if value in values[:i]]:
            yield f"tune: {field} = {repeated[0]!r} is listed twice. Leave one out."
        if field in study.sweep:
            yield (
                f"tune: {field} is swept as well, and cannot be both compared and chosen. Leave it out of"
                " sweep or of tune.values."
            )
    yield from _number_faults(tune)
    if study.validation_size < LEAST_VALIDATION:
        held = f"{study.validation_size} samples are" if study.validation_size else "nothing is"
        yield (
            f"tune: {held} held out (validation_size = {study.validation_size}), and tuning is judged on"
            f" validation samples. Set validation_size to at least {LEAST_VALIDATION}."
        )


def _number_faults(tune: Tune) -> Iterator[str]:
    count = prod(map(len, tune.values.values()))
    if not tune.values or count < 2:
        has = f"has {count} combination" if tune.values else "is empty"
        yield f"tune.values {has}: there is nothing to choose. List at least two values of a recipe field."
    if count > MOST_COMBINATIONS:
        yield (
            f"tune.values has {count:,} combinations; at most {MOST_COMBINATIONS:,} are tried. List fewer"
            " values."
        )
    if tune.members > MOST_MEMBERS:
        yield f"tune.members {tune.members:,} is above {MOST_MEMBERS:,}, the most that judge a combination."


def validation_faults(study: Study, task: AnyTask, present: int | None) -> list[str]:
    """Why the validation samples cannot judge: too few for so many classes, or of too few classes.

    Args:
        study: The study.
        task: Of its dataset.
        present: How many classes the validation samples have; None where nobody looked.
    """
    kind, least = TASKS[task.kind], 2 * task.classes
    if study.tune is None or study.validation_size < LEAST_VALIDATION or kind.positions:
        return []  # every position of a sample has a class of its own
    if study.validation_size >= least:
        if present is None or 2 * present >= task.classes:
            return []
        return [
            f"tune: the {study.validation_size:,} validation {kind.samples}, the last of the training"
            f" {kind.samples}, are of {present} of {task.classes} classes: the dataset seems to be sorted by"
            " class. Shuffle it, or hold out more."
        ]
    return [
        f"tune: {study.validation_size} validation {kind.samples} for {task.classes} classes are fewer than"
        f" 2 a class, too few to judge by. Set validation_size to at least {least}."
    ]
