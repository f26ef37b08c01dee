"""Faults of a study that can be found without its data."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial

from torch import Generator, nn

from ..budgets._parse import parse_budget
from ..catalog import BUDGETS, DTYPES, FAMILIES, METHODS, MODES, TASKS, WAYS
from ..datasets._load import split_name
from ..errors import EnsembudgetError, PlanError, told
from ..families._base import OptionValue
from ..families._build import describe, materialise, resolve_options
from ..families._invariance import invariant_of
from ..methods._options import resolve_method, unit_of
from ..records import FLOAT32, Recipe, Study
from .faults import dropout_faults, method_faults
from .probes import probe_faults
from .tuning import tunable, tune_faults
from .variants import Variant, dtypes, unswept, variant_faults, variants_of

Check = tuple[str, Callable[[], object]]  # what it is about, and what raises where that is wrong


def study_faults(study: Study, *, combined: bool = True) -> list[str]:
    """Faults of a study that need no data: names, options, budgets and recipes, one sentence each.

    Args:
        study: The study.
        combined: Whether to check also that mode, network and recipe go together. Not where some of
            them are stand-ins.
    """
    unplannable = variant_faults(study)
    faults = [*_failed([*_study_checks(study), *_arm_checks(study)]), *_repeated(study), *unplannable]
    faults += [*tune_faults(study), *probe_faults(study)]
    for variant in unswept(study) if unplannable else variants_of(study):
        own = _recipe_faults(study, variant, combined=combined)
        faults += [f"{_label(variant)}{fault}" for fault in own]
        for tried in [] if own or variant.setting.subset else tunable(study, variant):
            arm = f"arm {variant.setting.arm!r}: " if variant.setting.arm else ""
            wrong = _recipe_faults(study, tried, combined=combined)
            faults += [f"{arm}tune: {fault}" for fault in wrong]
    return list(dict.fromkeys(faults))


def _study_checks(study: Study) -> Iterator[Check]:
    yield "family", lambda: _initialised(study)
    if not FAMILIES.fault(study.family):
        yield "options", lambda: resolve_options(study.family, study.options)
    yield "dataset", lambda: split_name(study.dataset)
    yield "budget_kind", lambda: BUDGETS[study.budget_kind]
    for name in dtypes(study):
        yield "dtype", partial(DTYPES.source, name)
    yield "stepping", lambda: study.stepping.way is None or WAYS[study.stepping.way]
    if not BUDGETS.fault(study.budget_kind):
        for budget in study.budgets:
            yield f"budgets {told(budget)}", partial(parse_budget, budget, study.budget_kind)


def _repeated(study: Study) -> Iterator[str]:
    """Numbers that a list has more than once; budgets are compared as they are read."""
    read = []
    for budget in study.budgets:
        with suppress(EnsembudgetError):  # another check reports it
            read.append((parse_budget(budget, study.budget_kind)[0], budget))
    for i, (value, written) in enumerate(read):
        if same := [other for earlier, other in read[:i] if earlier == value]:
            yield f"budgets {told(same[0])} and {told(written)} are the same. Leave one out."
    for name, numbers in (("members", study.members), ("widths", study.widths)):
        for number in sorted({one for one in numbers if numbers.count(one) > 1}):
            yield f"{name} = {told(numbers)}: {number:,} is listed more than once. Leave the others out."


def _arm_checks(study: Study) -> Iterator[Check]:
    for arm in unswept(study):
        yield f"{_label(arm)}mode", partial(MODES.__getitem__, arm.mode)
        yield f"{_label(arm)}method", partial(resolve_method, arm.method, arm.method_options)
        yield f"{_label(arm)}method", partial(_storable, study, arm)
        if not FAMILIES.fault(study.family) and arm.options != study.options:
            yield f"{_label(arm)}options", partial(resolve_options, study.family, arm.options)


def _initialised(study: Study) -> None:
    """Initialises the family's narrowest network, to find out whether all of it can be initialised."""
    options = study.options if _fit(study.family, study.options) else {}
    if _fit(study.family, options):  # else the check of the options reports it
        materialise(narrowest(study.family, options), [Generator()])


def _fit(family: str, options: Mapping[str, OptionValue]) -> bool:
    try:
        resolve_options(family, options)
    except PlanError:
        return False
    return True


def narrowest(family: str, options: Mapping[str, OptionValue] | None = None) -> nn.Module:
    """A family's narrowest network for the smallest task that it supports, on the meta device."""
    part, resolved = FAMILIES[family], resolve_options(family, options or {})
    task = part.smallest(resolved) or TASKS[min(part.tasks)].smallest
    return describe(family, part.multiple_of(resolved), task, options=options)


def _recipe_faults(study: Study, variant: Variant, *, combined: bool) -> list[str]:
    recipe = partial(variant.recipe, study.family, study.dataset, 1)
    faults = list(_failed([("recipe", recipe)])) or _method_faults(variant, recipe().recipe)
    if not faults and not FAMILIES.fault(study.family):
        faults += dropout_faults(study.family, recipe().recipe)
    if combined and not FAMILIES.fault(study.family):
        faults += _contradictions(study, variant)
    return faults


def _method_faults(variant: Variant, recipe: Recipe) -> list[str]:
    """Why this method cannot make its units of a run by this recipe."""
    try:
        options = resolve_method(variant.method, variant.method_options)
    except EnsembudgetError:
        return []  # another check reports it
    return method_faults(variant.method, options, recipe)


def _storable(study: Study, arm: Variant) -> None:
    """Refuses to keep or round what is not one ordinary network."""
    try:
        unit = unit_of(arm.method, arm.method_options)
    except EnsembudgetError:
        return  # another check reports it
    asked = [f"dtype {name!r}" for name in dtypes(study) if name != FLOAT32]
    asked += ["keep_weights = true"] if study.keep_weights else []
    if asked and not unit.is_network:
        others = [name for name in METHODS.usable() if unit_of(name, {}).is_network]
        raise PlanError(
            f"{' and '.join(asked)} needs members of one network each, whose weights are kept, and a member"
            f" of {arm.method!r} is {unit.predictors:,} predictors out of {unit.networks:,} networks. Leave"
            f" it out, or choose a method of single networks: {', '.join(others)}."
        )


def _label(variant: Variant) -> str:
    label = variant.setting._replace(tuned=None, dtype="").label
    return f"arm {label!r}: " if label else ""


def _contradictions(study: Study, variant: Variant) -> Iterator[str]:
    """Why this mode cannot train this network by this recipe, or why there is nothing to record."""
    try:
        mode = MODES[variant.mode]
        network = narrowest(study.family, variant.options)
        recipe = variant.recipe(study.family, study.dataset, 1).recipe
    except EnsembudgetError:
        return  # another check reports it
    invariant = invariant_of(network)
    for fault in mode.faults(recipe, invariant):
        yield f"mode: {fault}"
    if study.record and not invariant.names:
        yield (
            "record: histories are about scale-invariant weights, and these networks of family"
            f" {study.family!r} have none. {_recordable(study.family, variant.options)}"
        )


def _recordable(family: str, options: Mapping[str, OptionValue]) -> str:
    """What to change of a study whose networks have no scale-invariant weights, in a sentence."""
    part = FAMILIES[family]
    for name, value in part.options.items():
        others = part.choices.get(name, (not value,) if isinstance(value, bool) else ())
        for other in others:
            with suppress(EnsembudgetError):  # the value does not go with the other options
                if invariant_of(narrowest(family, {**options, name: other})).names:
                    return f"Set options = {{ {name} = {json.dumps(other)} }}, or leave record out."
    return "No option gives them to this family. Leave record out: training losses are kept without it."


def _failed(checks: list[Check]) -> Iterator[str]:
    for about, check in checks:
        try:
            check()
        except EnsembudgetError as error:
            yield f"{about}: {error}"
