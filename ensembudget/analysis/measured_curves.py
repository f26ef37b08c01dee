"""Learning curves out of the pools of one or several studies."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..catalog import TASKS
from ..errors import FitError
from ..records import Setting, Split
from ..scoring.clusters import equal_or_none
from ..scoring.covariance import PoolNoise
from ..scoring.pools import Pool, Results
from ..scoring.standard_errors import MemberErrors, Variance
from .learning_curves import BudgetGroup, CurveModel, LearningCurves, SharedErrors
from .plane import MeasuredPlane

_LONE = "a pool of one member does not show how members vary"


class CurveSource(NamedTuple):
    """The results of a study, and the noise of its pools."""

    results: Results
    plane: MeasuredPlane


class _Place(NamedTuple):
    """A point of a curve, or the part of one that a subset of the training images gives."""

    model: CurveModel
    pool: Pool
    noise: PoolNoise
    errors: MemberErrors | None

    @property
    def size(self) -> int:
        return self.pool.planned.cell.train_size


def learning_curves(sources: Sequence[CurveSource], metrics: Sequence[str]) -> list[LearningCurves]:
    """For every metric the curves of all splits, and of a single member of every width.

    A point is the mean over the disjoint ensembles of a pool, and over subsets where there are several. Its
    error is over fresh members, at these training images and test samples. Ensembles of several sizes from
    one pool share members: they covary as their CNLL does.

    Args:
        sources: Studies of one dataset and one test set. What several measure of one model is one curve.
        metrics: `cnll`, `nll` or `error`.

    Raises:
        FitError: Studies of different images, or two measurements of one point.
    """
    _check(sources)
    tunes = any(setting.tuned is not None for source in sources for setting in source.results.plan.settings)
    places = [place for source in sources for place in _places(source, tunes)]
    places = list({(place.model, place.pool.planned.cell.key): place for place in places}.values())
    _check_points(places)
    return [_curves(places, sources, metric) for metric in metrics]


def _check(sources: Sequence[CurveSource]) -> None:
    """All studies have one dataset, and were tested on the same samples."""
    pools = [(one.results.plan.study.name, pool) for one in sources for pool in one.results.pools]
    name, first = pools[0]
    for other, pool in pools:
        if pool.planned.cell.dataset_digest != first.planned.cell.dataset_digest:
            raise FitError(
                f"studies {name!r} and {other!r} have different images ({first.planned.cell.dataset} and"
                f" {pool.planned.cell.dataset}): their models cannot be ranked together."
            )
        if pool.trained and first.trained and not _same_test(pool, first):
            raise FitError(f"studies {name!r} and {other!r} were tested on different samples.")


def _same_test(one: Pool, other: Pool) -> bool:
    return np.array_equal(one.labels, other.labels) and equal_or_none(one.samples, other.samples)


def _check_points(places: Sequence[_Place]) -> None:
    seen: dict[tuple[CurveModel, int, int], str] = {}
    for place in places:
        cell = place.pool.planned.cell
        if seen.setdefault((place.model, place.size, cell.subset), cell.key) != cell.key:
            raise FitError(
                f"{place.model} at {place.size:,} images was trained in two ways: a curve has one point a"
                " size. Give studies of different networks or sizes, or make them arms of one study."
            )


def _places(source: CurveSource, tunes: bool) -> Iterator[_Place]:
    for pool in source.results.pools:
        if pool.scores is None:
            continue
        planned, own = pool.planned, pool.planned.setting
        spent = {
            split.members
            for split in source.results.plan.splits
            if (split.setting, split.width) == (own, planned.cell.width)
        }
        for members in sorted({1, *spent} & set(pool.scores.losses)):
            losses, noise = pool.split_losses(members), source.plane.noises[own, planned.cell.width]
            yield _Place(_model(pool, members, tunes), pool, noise, losses.errors if losses else None)


def _model(pool: Pool, members: int, tunes: bool) -> CurveModel:
    """What a pool's ensembles of one size are a point of; where some study tunes, others are untuned."""
    cell, setting = pool.planned.cell, pool.planned.setting
    options = ", ".join(f"{name} {value}" for name, value in cell.options.items())
    return CurveModel(
        family=f"{cell.family} ({options})" if options else cell.family,
        arm=setting.way.label,
        tuned=bool(setting.tuned) if tunes else None,
        width=cell.width,
        members=members,
        parameters=members * pool.trained[0].member.parameters,
    )


def _curves(places: Sequence[_Place], sources: Sequence[CurveSource], metric: str) -> LearningCurves:
    models = list(dict.fromkeys(place.model for place in places))
    sizes = sorted({place.size for place in places})
    total, count = np.zeros((2, len(models), len(sizes)))
    pools: dict[str, list[_Place]] = {}
    for place in places:
        at = models.index(place.model), sizes.index(place.size)
        total[at] += _value(place, metric)
        count[at] += 1
        pools.setdefault(place.pool.planned.cell.key, []).append(place)
    errors = []
    for its in pools.values():
        rows, columns = [models.index(one.model) for one in its], [sizes.index(one.size) for one in its]
        if known := _errors(its, metric):
            share = count[rows, columns]
            errors.append(SharedErrors(rows, columns, known[0] / np.outer(share, share), known[1]))
    return LearningCurves(
        metric=metric,
        ceiling=1.0 if metric == "error" else math.log(places[0].pool.logits.shape[2]),
        models=tuple(models),
        sizes=np.array(sizes, float),
        values=np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0),
        errors=tuple(errors),
        budgets=tuple(_budgets(models, sources)),
        unknown="" if len(errors) == len(pools) else _LONE,
        least=TASKS[task.kind].least(task) if (task := sources[0].results.plan.task) else 1,
    )


def _value(place: _Place, metric: str) -> float:
    assert place.pool.scores is not None
    name = "accuracy" if metric == "error" else metric
    mean = place.pool.scores.mean(place.model.members, name)
    return 1 - mean if metric == "error" else mean


def _errors(places: Sequence[_Place], metric: str) -> tuple[Array, float] | None:
    """Covariance of points of one pool, and its degrees of freedom; None for a pool of one."""
    noise, sizes = places[0].noise, [place.model.members for place in places]
    name = "accuracy" if metric == "error" else metric
    known: list[Variance] = [getattr(place.errors, name) for place in places if place.errors]
    if len(known) < len(places) or not noise.freedom:
        return None
    covariance = noise.covariance(sizes)
    deviations = np.sqrt(covariance.diagonal())
    scale = np.sqrt([one.value for one in known]) / np.maximum(deviations, 1e-300)
    return covariance * np.outer(scale, scale), min(one.freedom for one in known)


def _budgets(models: Sequence[CurveModel], sources: Sequence[CurveSource]) -> Iterator[BudgetGroup]:
    """Splits of one budget that differ in nothing else, where there are at least two."""
    found: dict[str, set[int]] = {}
    tunes = models[0].tuned is not None
    several = len({model.family for model in models}) > 1
    for source in sources:
        for split in source.results.plan.splits:
            pool = source.results.pool_of(split)
            if pool.trained and (model := _model(pool, split.members, tunes)) in models:
                found.setdefault(_budget_name(split, model, several), set()).add(models.index(model))
    return (BudgetGroup(name, tuple(sorted(rows))) for name, rows in found.items() if len(rows) > 1)


def _budget_name(split: Split, model: CurveModel, several: bool) -> str:
    words = [f"splits of {split.budget:,} {split.budget_kind}", *([model.family] if several else [])]
    return ", ".join(filter(None, [*words, Setting(model.arm, model.tuned).label]))
