"""From a budget to the widths that spend it, and from a study to the runs that it needs."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import product
from math import prod
from typing import Any, NamedTuple

from . import recipes
from .budgets._base import parse_budget
from .catalog import BUDGETS, FAMILIES, MODES
from .datasets._base import split_name
from .errors import EnsembudgetError, PlanError, StudyError, did_you_mean
from .families._base import SMALLEST_IMAGE, Option, describe, resolve_options
from .families._invariance import invariant_of
from .records import Cell, Plan, PlannedCell, RecipeChoice, Split, Study, Task

WIDEST = 2**16  # wider than anything trained; above it torch's own counts overflow
MOST_WAYS = 10_000  # of one study: more is a typing error too
MOST_MEMBERS = 100_000  # of one width: a pool beyond it is a typing error
TOLERANCE = 0.05  # a split that misses its budget by more than this fraction is not that budget's


@lru_cache(maxsize=4096, typed=True)
def _cost(
    family: str, options: tuple[tuple[str, Option], ...], task: Task, width: int, kind: str, dtype: str
) -> int:
    network = describe(family, width, task, options=dict(options))
    return BUDGETS[kind].measure(network, task, dtype)


def cost(
    family: str,
    width: int,
    task: Task,
    kind: str = "parameters",
    *,
    options: Mapping[str, Option] | None = None,
    dtype: str = "float32",
) -> int:
    """What one network costs, measured on the network built without memory.

    Args:
        family: A family's name.
        width: Its width, at least 1.
        task: Classes, channels, image size.
        kind: `parameters`, `bytes`, `flops` (forward, per sample) or `activations` (per sample).
        options: Over the family's defaults.
        dtype: How a number is stored; only `bytes` depends on it.

    Raises:
        PlanError: An unknown family or kind, or a network that cannot be.

    Example:
        >>> cost("vgg", 64, Task(100, 3, 32))
        15291300
    """
    if width > WIDEST:
        raise PlanError(f"width {width:,} is above {WIDEST:,}, the widest that is counted.")
    resolved = resolve_options(family, options or {})
    return _cost(family, tuple(sorted(resolved.items())), task, width, kind, dtype)


def split(
    family: str,
    task: Task,
    budget: int,
    members: int,
    kind: str = "parameters",
    *,
    options: Mapping[str, Option] | None = None,
    multiple_of: int = 1,
    dtype: str = "float32",
) -> Split:
    """The width whose `members` networks together come nearest to a budget.

    Args:
        family: A family's name.
        task: Classes, channels, image size.
        budget: What all members may cost together, in the unit of `kind`.
        members: How many, at least 1.
        kind: Of the budget: `parameters`, `bytes`, `flops` or `activations`.
        options: Over the family's defaults, say `{"depth": 28}`.
        multiple_of: Only widths that are a multiple of this, at least 1.
        dtype: How a number is stored; only `bytes` depends on it.

    Raises:
        PlanError: The budget cannot hold so many members even at the narrowest width.

    Example:
        >>> split("wide_resnet", Task(100, 3, 32), 36_755_940, 16, options={"depth": 28}).width
        40
    """
    for name, value in (("members", members), ("multiple_of", multiple_of), ("budget", budget)):
        if value < 1:
            raise PlanError(f"{name} {value} is below 1, the least that can be.")

    def total(width: int) -> int:
        return members * cost(family, width, task, kind, options=options, dtype=dtype)

    narrowest = total(multiple_of)
    if narrowest > budget * (1 + TOLERANCE):
        one = narrowest // members
        fit = budget // one
        instead = f"at most {fit:,} members, or " if fit else ""
        raise PlanError(
            f"a budget of {budget:,} {BUDGETS[kind].unit} cannot hold {members:,} members of {family!r}:"
            f" at its narrowest (width {multiple_of}) each has {one:,}, {narrowest:,} in all."
            f" Ask for {instead}a budget of at least {narrowest:,}."
        )
    width = _nearest(total, budget, multiple_of)
    described = describe(family, width, task, options=options)
    flops, activations, parameters = (
        BUDGETS[k].measure(described, task, dtype) for k in ("flops", "activations", "parameters")
    )
    return Split(
        budget=budget,
        budget_kind=kind,
        members=members,
        width=width,
        parameters_per_member=parameters,
        parameters_total=members * parameters,
        error_percent=100 * (total(width) - budget) / budget,
        flops_per_sample=members * flops,
        bytes_total=members * BUDGETS["bytes"].measure(described, task, dtype),
        activations_per_sample=members * activations,
    )


def _nearest(total: Callable[[int], int], budget: int, step: int) -> int:
    """The multiple of `step` at which the increasing `total` is nearest to `budget`."""
    low, high = 1, 2
    while total(high * step) < budget:
        low, high = high, 2 * high
        if high * step > WIDEST:
            raise PlanError(
                f"a budget of {budget:,} asks for a width above {WIDEST:,}, which costs"
                f" {total(WIDEST // step * step):,}. Ask for more members or a smaller budget."
            )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if total(middle * step) < budget else (low, middle)
    return min(low * step, high * step, key=lambda width: abs(total(width) - budget))


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


def plan(study: Study, task: Task, *, digest: str, dataset: str, train_images: int) -> Plan:
    """A study's splits, and the pools of members that serve them all.

    Args:
        study: What is asked.
        task: What the dataset asks of a network.
        digest: The decoded images' own hash.
        dataset: What tables call the dataset.
        train_images: How many training images it has.

    Raises:
        StudyError: Faults that show only beside the data or the widths, all at once.
    """
    train_size = study.train_size or train_images - study.validation_size
    splits, pools, faults = list[Split](), list[tuple[Way, dict[int, int]]](), list[str]()
    for way in ways_of(study):
        found, wrong = _splits(study, way, task)
        its = dict.fromkeys(study.widths, study.pool)
        for each in found:
            its[each.width] = max(its.get(each.width, study.pool), each.members * study.replicates)
        splits += found
        pools.append((way, its))
        faults += [fault for fault in wrong + _pool_faults(study, way, task, its) if fault not in faults]
    if train_size < 1 or train_size + study.validation_size > train_images:
        faults.append(
            f"train_size {train_size:,} and validation_size {study.validation_size:,} need more than"
            f" the {train_images:,} training images of {dataset!r}."
            f" Ask for train_size at most {max(0, train_images - study.validation_size):,}."
        )
    if faults:
        lines = "\n".join(f"  - {fault}" for fault in faults)
        raise StudyError(f"study {study.name!r} cannot be planned:\n{lines}")

    def planned(way: Way, width: int, members: int) -> PlannedCell:
        found = _recipe(study, way, dataset, width)
        cell = Cell(
            family=study.family,
            options=resolve_options(study.family, way.options),
            width=width,
            dataset=dataset,
            dataset_digest=digest,
            train_size=train_size,
            validation_size=study.validation_size,
            mode=way.mode,
            recipe=found.recipe,
            record=study.record,
        )
        flops = cost(study.family, width, task, "flops", options=way.options)
        return PlannedCell(
            arm=way.arm, cell=cell, members=members, origin=found.origin, flops_per_sample=flops
        )

    cells = [planned(way, *pool) for way, its in pools for pool in sorted(its.items())]
    arms: dict[str, str] = {}
    for one in cells:
        if (twin := arms.setdefault(one.cell.key, one.arm)) != one.arm:
            raise StudyError(
                f"study {study.name!r} cannot be planned:\n  - arms {twin!r} and {one.arm!r} train the same"
                f" networks of width {one.cell.width}. Let them differ, or leave one out."
            )
    return Plan(study=study, splits=splits, cells=cells)


def _splits(study: Study, way: Way, task: Task) -> tuple[list[Split], list[str]]:
    """The splits of every budget, and why some cannot be."""
    if study.narrowest > WIDEST:
        return [], [f"narrowest {study.narrowest:,} is above {WIDEST:,}, the widest that is counted."]
    splits, faults = [], []
    for written in study.budgets:
        for members in study.members:
            try:
                one = _study_split(study, way, task, written, members)
            except EnsembudgetError as error:
                faults.append(f"budgets {written!r}, members {members}: {error}")
                continue
            if one:
                splits.append(one)
    if not study.budgets and not study.widths:
        faults.append("budgets: none given, and no widths. Give one of them.")
    elif not faults and not splits and not study.widths:
        faults.append(f"narrowest {study.narrowest}: every split is narrower. Lower it, or raise budgets.")
    return splits, faults


def _pool_faults(study: Study, way: Way, task: Task, pools: Mapping[int, int]) -> list[str]:
    """Widths that cannot be counted, and pools that are a typing error."""
    faults = []
    for width in study.widths:
        try:
            cost(study.family, width, task, options=way.options)
        except PlanError as error:
            faults.append(f"widths: {error}")
    width, members = max(pools.items(), key=lambda item: item[1], default=(0, 0))
    if members > MOST_MEMBERS:
        faults.append(
            f"pool {study.pool:,} and replicates {study.replicates:,} ask for {members:,} members of"
            f" width {width}; at most {MOST_MEMBERS:,} are trained. Lower them."
        )
    return faults


def _study_split(study: Study, way: Way, task: Task, written: str | int, members: int) -> Split | None:
    """One split of a study, or None where it is narrower than the study goes."""
    budget, kind = parse_budget(written, study.budget_kind)
    least = members * cost(study.family, study.narrowest, task, kind, options=way.options, dtype=study.dtype)
    if study.narrowest > 1 and least > budget * (1 + study.tolerance):
        return None
    found = split(
        study.family, task, budget, members, kind,
        options=way.options, multiple_of=study.multiple_of, dtype=study.dtype,
    )  # fmt: skip
    if found.width < study.narrowest:
        return None
    if abs(found.error_percent) > 100 * study.tolerance:
        raise PlanError(
            f"the nearest width, {found.width}, misses the budget by {found.error_percent:+.1f}%, more than"
            f" the tolerance of {100 * study.tolerance:.0f}%. Ask for a budget of"
            f" {round(budget * (1 + found.error_percent / 100)):,}, or a larger tolerance."
        )
    return found.model_copy(update={"arm": way.arm})


def check_names(study: Study, *, together: bool = True) -> Sequence[str]:
    """Faults of a study that need no data: names, options and budgets, one sentence each.

    Args:
        study: What is asked.
        together: Whether to look at what fits what: not where some of it is a stand-in.
    """
    known = study.family in FAMILIES
    looks: list[tuple[str, Callable[[], object]]] = [
        ("family", lambda: FAMILIES[study.family]),
        ("options", lambda: known and resolve_options(study.family, study.options)),
        ("dataset", lambda: split_name(study.dataset)),
        ("budget_kind", lambda: BUDGETS[study.budget_kind]),
    ]
    if study.budget_kind in BUDGETS:
        looks += [
            (f"budgets {budget!r}", partial(parse_budget, budget, study.budget_kind))
            for budget in study.budgets
        ]
    for arm in _arms(study):
        at = _at(arm)
        looks.append((f"{at}mode", partial(MODES.__getitem__, arm.mode)))
        if known and arm.options != study.options:
            looks.append((f"{at}options", partial(resolve_options, study.family, arm.options)))
    unfit = [*_arm_faults(study), *_sweep_faults(study)]
    faults = [*_faults(looks), *unfit]
    for way in _arms(study) if unfit else ways_of(study):
        faults += _faults([(f"{_at(way)}recipe", partial(_recipe, study, way, study.dataset, 1))])
        if together and known:
            faults += [f"{_at(way)}{fault}" for fault in _misfits(study, way)]
    return list(dict.fromkeys(faults))


def _at(way: Way) -> str:
    return f"arm {way.arm!r}: " if way.arm else ""


def _misfits(study: Study, way: Way) -> list[str]:
    """Why this mode cannot train this network by this recipe, or has nothing to record."""
    try:
        mode = MODES[way.mode]
        network = describe(study.family, 1, Task(2, 1, SMALLEST_IMAGE), options=way.options)
        recipe = _recipe(study, way, study.dataset, 1).recipe
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


def _recipe(study: Study, way: Way, dataset: str, width: int) -> recipes.Resolved:
    return recipes.resolve(way.base, way.overrides, family=study.family, dataset=dataset, width=width)
