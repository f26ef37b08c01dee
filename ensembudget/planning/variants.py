"""The variants of a study: each arm with each combination of the sweep."""

from collections.abc import Mapping
from itertools import product
from math import prod
from typing import Any, NamedTuple

from .. import recipes
from ..errors import StudyError, did_you_mean
from ..families._base import Option
from ..records import RecipeChoice, Study

MOST_WAYS = 10_000  # of one study: more is a typing error too


class Way(NamedTuple):
    """One arm of a study with one combination of its sweep, complete."""

    arm: str
    mode: str
    options: Mapping[str, Option]
    base: str
    overrides: Mapping[str, Any]


def ways_of(study: Study) -> list[Way]:
    """Every way in which a study trains; one that names no arm and sweeps nothing has one, nameless.

    Arms come in the study's order, and for each the values of its sweep, fields by their name.

    Raises:
        StudyError: A sweep that cannot be, or two arms of one name.
    """
    if faults := [*_arm_faults(study), *_sweep_faults(study)]:
        raise StudyError("; ".join(faults))
    fields = sorted(study.sweep)
    return [
        _swept(way, dict(zip(fields, values, strict=True)))
        for way in _arms(study)
        for values in product(*(study.sweep[field] for field in fields))
    ]


def _arms(study: Study) -> list[Way]:
    """The arms as they are, complete, before anything is swept."""
    base, shared = study.recipe.base or "default", study.recipe.overrides
    if not study.arms:
        return [Way("", study.mode, study.options, base, shared)]
    return [
        Way(
            arm=arm.name,
            mode=arm.mode or study.mode,
            options={**study.options, **arm.options},
            base=arm.recipe.base or base,
            overrides={**shared, **arm.recipe.overrides},
        )
        for arm in study.arms
    ]


def _arm_faults(study: Study) -> list[str]:
    names = [arm.name for arm in study.arms]
    twice = sorted({name for name in names if names.count(name) > 1})
    return [f"arms: the name {name!r} stands for more than one arm. Name each its own." for name in twice]


def _sweep_faults(study: Study) -> list[str]:
    known, faults = list(RecipeChoice.model_fields), []
    for field, values in study.sweep.items():
        if field not in known:
            faults.append(
                f"sweep: {field!r} is no field of a recipe.{did_you_mean(field, known)}"
                f" Known: {', '.join(known)}."
            )
        if twice := [value for i, value in enumerate(values) if value in values[:i]]:
            faults.append(f"sweep: {field} = {twice[0]!r} is there twice. Leave one out.")
    count = prod(map(len, study.sweep.values())) * max(1, len(study.arms))
    if count > MOST_WAYS:
        faults.append(f"sweep: {count:,} combinations; at most {MOST_WAYS:,} are planned. List fewer values.")
    return faults


def _swept(way: Way, values: Mapping[str, Any]) -> Way:
    said = [f"{field} = {str(value).removesuffix('.0')}" for field, value in values.items()]
    return way._replace(
        arm=", ".join([*([way.arm] if way.arm else []), *said]),
        base=str(values.get("base", way.base)),
        overrides={**way.overrides, **{k: v for k, v in values.items() if k != "base"}},
    )


def _recipe(study: Study, way: Way, dataset: str, width: int) -> recipes.Resolved:
    return recipes.resolve(way.base, way.overrides, family=study.family, dataset=dataset, width=width)
