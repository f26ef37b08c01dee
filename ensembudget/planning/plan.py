"""From a study to the members that it needs."""

from collections.abc import Callable
from math import ceil

from ..budgets._parse import parse_budget
from ..errors import EnsembudgetError, PlanError
from ..families._build import resolve_options
from ..methods._options import resolve_method
from ..records import (
    AnyTask,
    Cell,
    Choice,
    Contest,
    Plan,
    PlannedCell,
    Recipe,
    Setting,
    Split,
    Study,
    Tune,
    Tuning,
    Values,
)
from .faults import cell_faults, refuse
from .probes import abis, unfit_probes
from .scored import scored_faults, scored_positions
from .sizes import DatasetFacts, size_faults, train_size
from .tuning import TuningPlace, place_of, tuned, tuning_of, validation_faults, with_choice
from .variants import Variant, variants_of
from .widths import WIDEST, cost, split, step_of

MOST_MEMBERS = 100_000  # of one width: a larger pool is a typing error


def plan(
    study: Study,
    task: AnyTask,
    *,
    digest: str,
    dataset: str,
    train_samples: int,
    validation_classes: int | None = None,
    choice_of: Callable[[Contest], Choice | None] = lambda contest: None,
) -> Plan:
    """A study's splits, and one pool of members per width and variant, which serves every split.

    Args:
        study: The study.
        task: Of its dataset.
        digest: Of the dataset's decoded samples.
        dataset: What tables call the dataset.
        train_samples: How many training samples the dataset has.
        validation_classes: How many classes the validation samples have; None where nobody looked.
        choice_of: What was chosen, where the study tunes; None of all, and tuned pools are not planned yet.

    Raises:
        StudyError: Faults that need the data or the widths to be found; all of them at once.
    """
    data = DatasetFacts(task, digest, dataset, train_samples)
    splits, cells, tuning = list[Split](), list[PlannedCell](), dict[TuningPlace, Tuning]()
    faults = [*size_faults(study, data), *validation_faults(study, task, validation_classes)]
    faults += scored_faults(study, task, dataset)
    for variant in variants_of(study):
        if unfit := _unfit(study, variant, task):
            faults += [unfit] if unfit not in faults else []
            continue
        found, wrong = _splits(study, variant, task)
        pools = _pools(study, found)
        splits += found
        wrong += [*_width_faults(study, variant, task), *_pool_faults(study, pools)]
        faults += [fault for fault in wrong if fault not in faults]
        if faults:
            continue
        own = [_planned(study, variant, data, *pool) for pool in sorted(pools.items())]
        cells += own
        faults += cell_faults([one.cell for one in own], task, study, variant)
        if study.tune:
            for one in own:
                if place_of(one) not in tuning:  # subsets and dtypes share the choice of the first
                    tuning[place_of(one)] = _tuning(study.tune, variant, one.trained, choice_of)
                    tried = [combination.cell for combination in tuning[place_of(one)].combinations]
                    faults += cell_faults(tried, task, study, variant)
            if all(tuning[place_of(one)].choice for one in own):
                splits += [split.model_copy(update={"tuned": True}) for split in found]
                cells += [with_choice(one, tuning[place_of(one)]) for one in own]
    refuse(study, list(dict.fromkeys(faults)) or _twins(cells))
    made = Plan(
        study=study,
        splits=splits,
        cells=cells,
        task=task,
        tuning=list(tuning.values()),
        probe_abis=abis(study),
    )
    refuse(study, list(dict.fromkeys(unfit_probes(made, task))))
    return made


def _unfit(study: Study, variant: Variant, task: AnyTask) -> str:
    """Why no network of this family can be for the task; "" where the narrowest can.

    It is said once, for every split and width would say it again.
    """
    try:
        cost(study.family, step_of(study.family, variant.options), task, options=variant.options)
    except PlanError as error:
        return f"family: {error}"
    return ""


def _splits(study: Study, variant: Variant, task: AnyTask) -> tuple[list[Split], list[str]]:
    """The splits of every budget, and why some cannot be."""
    if study.narrowest > WIDEST:
        return [], [f"narrowest {study.narrowest:,} is above {WIDEST:,}, the widest that is counted."]
    splits, faults = [], []
    for written in study.budgets:
        for members in study.members:
            try:
                one = _split(study, variant, task, written, members)
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


def _split(study: Study, variant: Variant, task: AnyTask, written: str | int, members: int) -> Split | None:
    """One split, or None where its width is below the study's narrowest."""
    budget, kind = parse_budget(written, study.budget_kind)
    if study.narrowest > 1:  # a timm model of width 1 takes seconds to describe
        step = step_of(study.family, variant.options, study.multiple_of)
        narrowest = ceil(study.narrowest / step) * step
        least = members * cost(study.family, narrowest, task, kind, **variant.counted)
        if least > budget * (1 + study.tolerance):
            return None
    found = split(
        study.family, task, budget, members, kind,
        multiple_of=study.multiple_of, **variant.counted,
    )  # fmt: skip
    if found.width < study.narrowest:
        return None
    if abs(found.error_percent) > 100 * study.tolerance:
        raise PlanError(
            f"the nearest width, {found.width}, misses the budget by {found.error_percent:+.1f}%, more than"
            f" the tolerance of {100 * study.tolerance:.0f}%. Ask for a budget of"
            f" {round(budget * (1 + found.error_percent / 100)):,}, or a larger tolerance."
        )
    return found.model_copy(update=variant.setting._asdict())


def _pools(study: Study, splits: list[Split]) -> dict[int, int]:
    """How many members of each width serve these splits and the study's own widths."""
    pools = dict.fromkeys(study.widths, study.pool)
    for one in splits:
        pools[one.width] = max(pools.get(one.width, study.pool), one.members * study.replicates)
    return pools


def _width_faults(study: Study, variant: Variant, task: AnyTask) -> list[str]:
    faults = []
    for width in study.widths:
        try:
            cost(study.family, width, task, options=variant.options)
        except PlanError as error:
            faults.append(f"widths: {error}")
    return faults


def _pool_faults(study: Study, pools: dict[int, int]) -> list[str]:
    width, members = max(pools.items(), key=lambda item: item[1], default=(0, 0))
    if members <= MOST_MEMBERS:
        return []
    return [
        f"pool {study.pool:,} and replicates {study.replicates:,} ask for {members:,} members of width"
        f" {width}; at most {MOST_MEMBERS:,} are trained. Lower them."
    ]


def _planned(study: Study, variant: Variant, data: DatasetFacts, width: int, members: int) -> PlannedCell:
    found = variant.recipe(study.family, data.name, width)
    return PlannedCell(
        **variant.setting._asdict(),
        cell=Cell(
            family=study.family,
            options=resolve_options(study.family, variant.options),
            width=width,
            dataset=data.name,
            dataset_digest=data.digest,
            train_size=train_size(study, variant.train_size, data),
            subset=variant.setting.subset or 0,
            validation_size=study.validation_size,
            mode=variant.mode,
            recipe=found.recipe,
            record=study.record,
            dtype=variant.dtype,
            method=variant.method,
            method_options=resolve_method(variant.method, variant.method_options),
            scored=scored_positions(study, data.task),
        ),
        members=members,
        origin=found.origin,
        flops_per_sample=cost(study.family, width, data.task, "flops", options=variant.options),
    )


def _tuning(
    tune: Tune,
    variant: Variant,
    own: PlannedCell,
    choice_of: Callable[[Contest], Choice | None],
) -> Tuning:
    def recipe_of(values: Values) -> Recipe:
        return tuned(variant, values).recipe(own.cell.family, own.cell.dataset, own.cell.width).recipe

    tuning = tuning_of(tune, own, recipe_of)
    return tuning.model_copy(update={"choice": choice_of(tuning.contest)})


def _twins(cells: list[PlannedCell]) -> list[str]:
    """Two arms that train the same networks: the first such pair."""
    settings: dict[str, Setting] = {}
    for one in cells:
        if one.tuned:
            continue  # a choice may be what another arm has
        if (twin := settings.setdefault(one.cell.key, one.setting)) != one.setting:
            return [
                f"arms {twin.label!r} and {one.setting.label!r} train the same networks of width"
                f" {one.cell.width}. Make them differ, or leave one out."
            ]
    return []
