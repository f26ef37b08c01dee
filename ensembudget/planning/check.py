"""Faults of a study that need no data to be found."""

from collections.abc import Callable, Sequence
from functools import partial

from torch import Generator, nn

from ..budgets._parse import parse_budget
from ..catalog import BUDGETS, FAMILIES, MODES, WAYS
from ..datasets._load import split_name
from ..errors import EnsembudgetError
from ..families._build import SMALLEST_IMAGE, describe, materialise, resolve_options
from ..families._invariance import invariant_of
from ..records import Study, Task
from .variants import Variant, unswept, variant_faults, variants_of

SMALLEST_TASK = Task(classes=2, channels=1, image_size=SMALLEST_IMAGE)


def check_names(study: Study, *, together: bool = True) -> Sequence[str]:
    """Faults of a study that need no data: names, options and budgets, one sentence each.

    Args:
        study: What is asked.
        together: Whether to look at what fits what: not where some of it is a stand-in.
    """
    known = study.family in FAMILIES
    looks: list[tuple[str, Callable[[], object]]] = [
        ("family", lambda: FAMILIES[study.family]),
        ("family", lambda: known and _smallest(study.family)),
        ("options", lambda: known and resolve_options(study.family, study.options)),
        ("dataset", lambda: split_name(study.dataset)),
        ("budget_kind", lambda: BUDGETS[study.budget_kind]),
        ("stepping", lambda: study.stepping.way is None or WAYS[study.stepping.way]),
    ]
    if study.budget_kind in BUDGETS:
        looks += [
            (f"budgets {budget!r}", partial(parse_budget, budget, study.budget_kind))
            for budget in study.budgets
        ]
    for arm in unswept(study):
        at = _at(arm)
        looks.append((f"{at}mode", partial(MODES.__getitem__, arm.mode)))
        if known and arm.options != study.options:
            looks.append((f"{at}options", partial(resolve_options, study.family, arm.options)))
    unfit = variant_faults(study)
    faults = [*_faults(looks), *unfit]
    for variant in unswept(study) if unfit else variants_of(study):
        faults += _faults(
            [(f"{_at(variant)}recipe", partial(variant.recipe, study.family, study.dataset, 1))]
        )
        if together and known:
            faults += [f"{_at(variant)}{fault}" for fault in _misfits(study, variant)]
    return list(dict.fromkeys(faults))


def _smallest(family: str) -> nn.Module:
    """A family's narrowest network with initial weights, which shows whether all of it can be initialised."""
    return materialise(describe(family, 1, SMALLEST_TASK), [Generator()])


def _at(variant: Variant) -> str:
    return f"arm {variant.arm!r}: " if variant.arm else ""


def _misfits(study: Study, variant: Variant) -> list[str]:
    """Why this mode cannot train this network by this recipe, or has nothing to record."""
    try:
        mode = MODES[variant.mode]
        network = describe(study.family, 1, SMALLEST_TASK, options=variant.options)
        recipe = variant.recipe(study.family, study.dataset, 1).recipe
    except EnsembudgetError:
        return []  # told where it belongs
    invariant = invariant_of(network)
    faults = [f"mode: {fault}" for fault in mode.faults(recipe, invariant)]
    if study.record and not invariant.names:
        faults.append(
            f"record: it is about scale-invariant weights, and family {study.family!r} has none here. Give it"
            " batch norm, or leave record out."
        )
    return faults


def _faults(looks: Sequence[tuple[str, Callable[[], object]]]) -> list[str]:
    faults = []
    for field, look in looks:
        try:
            look()
        except EnsembudgetError as error:
            faults.append(f"{field}: {error}")
    return faults
