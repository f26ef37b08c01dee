"""Every ensemble size out of one pool, over all disjoint groups."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..catalog import METRICS
from ..errors import ScoreError
from ..metrics._base import Ensemble, Metric
from ..records import Score
from ..threads import torch_threads
from .calibration import cross_fitted_losses, geometric_mean, halvings
from .check import check_logits
from .clusters import Clusters, clusters_of
from .given import Numbers, tensor_of
from .mixing import group_matrix, groups, pooled

AT_ONCE = 2**25  # numbers: averages that are held at one time


@dataclass(frozen=True)
class PoolScores:
    """How good a pool's ensembles are.

    Attributes:
        scores: One a (size, group), sizes ascending.
        losses: For every size, calibrated losses (group, sample) in nats.
        temperatures: For every size, the geometric mean temperature after averaging.
        clusters: Which answers are of one sample; None where each is of its own.
    """

    scores: list[Score]
    losses: dict[int, Tensor]
    temperatures: dict[int, float]
    clusters: Clusters | None = None

    def mean(self, size: int, name: str) -> float:
        """Mean over the groups of one size, of a metric, `cnll` or `cnll_before`.

        Raises:
            ScoreError: A group has no such number, as a single member has no disagreement.
        """
        values = [score.value(name) for score in self.scores if score.members == size]
        there = [value for value in values if value is not None]
        if len(there) < len(values):
            raise ScoreError(f"{name} has no mean at size {size}: {len(values) - len(there)} groups lack it.")
        return sum(there) / len(there)


@torch_threads(1)
def score_pool(
    logits: Numbers,
    labels: Numbers,
    *,
    cell: str = "",
    seed: int = 0,
    samples: Numbers | None = None,
    kind: str = "",
    on_share: Callable[[float], None] = lambda share: None,
) -> PoolScores:
    """Scores ensembles of every size from 1 to the pool's, each over all disjoint groups.

    Args:
        logits: (member, sample, class), any float dtype: a tensor, a NumPy array or lists.
        labels: (sample,), integers in [0, class), likewise.
        cell: Key of the pool's cell, kept in the scores.
        seed: Of the halvings on which temperatures are cross-fitted.
        samples: The sample of each label, integers, where several labels share one, as the tokens of a text
            do: (answer,), where `sample` above means an answer. Such answers are not independent, so halvings
            and errors are over samples. None if none share.
        kind: The kind of task, such as `language_model`, which decides what metrics there are; "" takes those
            that apply to all tasks.
        on_share: Called with the share that is done, as the work goes on.

    Returns:
        Scores in float64, from float64 arithmetic.

    Raises:
        ScoreError: Shapes or types disagree, numbers are not finite, or a metric gives no number.

    Example:
        >>> logits = torch.randn(4, 100, 3, generator=torch.Generator().manual_seed(0))
        >>> scores = score_pool(logits, torch.arange(100) % 3).scores
        >>> [(score.members, score.replicate) for score in scores]
        [(1, 0), (1, 1), (1, 2), (1, 3), (2, 0), (2, 1), (3, 0), (4, 0)]
    """
    logits, labels = tensor_of(logits, "logits"), tensor_of(labels, "labels")
    check_logits(logits, labels)
    labels, pool = labels.long(), len(logits)
    ensembles = [(size, *one) for size in range(1, pool + 1) for one in enumerate(groups(pool, size))]
    clusters = clusters_of(samples, len(labels))
    folds = halvings(len(labels), seed=seed, clusters=clusters)
    matrix = group_matrix(pool, [group for *_, group in ensembles])
    on_share(0.0)
    before, temperatures_before = cross_fitted_losses(logits, labels, folds, matrix)
    # For a single member, before and after averaging are the same.
    after, temperatures = before.clone(), temperatures_before.clone()
    metrics, agreements = _metrics(kind), agreement(logits.argmax(-1))
    measured: list[dict[str, float | None]] = []
    for batch in _batches(pool, len(ensembles), at_once=max(1, AT_ONCE // logits[0].numel())):
        averages = pooled(logits, matrix[batch])
        if batch.start >= pool:
            after[batch], temperatures[batch] = cross_fitted_losses(averages, labels, folds)
        for average, (*_, group) in zip(averages, ensembles[batch], strict=True):
            one = Ensemble(average, labels, logits[group], agreements[group, group])
            measured.append({name: _measure(name, metric, one) for name, metric in metrics.items()})
        del averages  # before the next ones are made
        on_share(0.5 + 0.5 * len(measured) / len(ensembles))
    scores = [
        Score(
            cell=cell,
            members=size,
            replicate=replicate,
            metrics=measured[row],
            cnll=float(after[row].mean()),
            cnll_before=float(before[row].mean()),
            temperature=geometric_mean(temperatures[row]),
            temperature_before=geometric_mean(temperatures_before[row]),
        )
        for row, (size, replicate, _) in enumerate(ensembles)
    ]
    counts = [pool // size for size in range(1, pool + 1)]
    return PoolScores(
        scores,
        losses=dict(enumerate(after.split(counts), 1)),
        temperatures={size: geometric_mean(some) for size, some in enumerate(temperatures.split(counts), 1)},
        clusters=clusters,
    )


@torch_threads(1)
def size_losses(
    logits: Tensor, labels: Tensor, sizes: Sequence[int], *, seed: int = 0, samples: Numbers | None = None
) -> tuple[dict[int, Tensor], dict[int, float]]:
    """The `losses` and `temperatures` of `score_pool`, for these sizes and nothing else.

    Raises:
        ScoreError: As `score_pool`.
    """
    check_logits(logits, labels)
    clusters = clusters_of(samples, len(labels))
    labels, folds = labels.long(), halvings(len(labels), seed=seed, clusters=clusters)
    losses, temperatures = {}, {}
    for size in sizes:
        matrix = group_matrix(len(logits), groups(len(logits), size))
        averages = logits if size == 1 else pooled(logits, matrix)
        losses[size], fitted = cross_fitted_losses(averages, labels, folds)
        temperatures[size] = geometric_mean(fitted)
    return losses, temperatures


def _batches(pool: int, ensembles: int, at_once: int) -> Iterator[slice]:
    """Ensembles that are averaged together: single members first, then the others."""
    for first, last in ((0, pool), (pool, ensembles)):
        for start in range(first, last, at_once):
            yield slice(start, min(start + at_once, last))


def agreement(predictions: Tensor) -> Tensor:
    """Share of samples on which two members predict the same class.

    Args:
        predictions: Classes, (member, sample).

    Returns:
        (member, member), float64.

    Example:
        >>> agreement(torch.tensor([[0, 1, 1, 2], [0, 1, 1, 0]]))
        tensor([[1.0000, 0.7500],
                [0.7500, 1.0000]], dtype=torch.float64)
    """
    return torch.stack([(one == predictions).double().mean(1) for one in predictions])


def _metrics(kind: str) -> dict[str, Metric]:
    """Every metric that a kind of task has; none may have the name of another number of a score."""
    found = METRICS.usable()
    if taken := set(found) & set(Score.model_fields):
        raise ScoreError(
            f"metric {min(taken)!r} cannot be used: a field of a score has that name. Rename it."
        )
    return {name: metric for name, metric in found.items() if metric.tasks is None or kind in metric.tasks}


def _measure(name: str, metric: Metric, ensemble: Ensemble) -> float | None:
    value = metric.score(ensemble)
    if value is None or (isinstance(value, int | float) and math.isfinite(value)):
        return value
    raise ScoreError(
        f"metric {name!r} of {len(ensemble.logits)} members is {value!r}: needed is a finite float, or None."
    )


def deep_ensemble_equivalent(cnll: float, curve: dict[int, float]) -> float | None:
    """How many members of a reference cell have this CNLL, interpolated between sizes.

    Args:
        cnll: Nats per sample.
        curve: The reference cell's CNLL at each size from 1 on.

    Returns:
        A number of members, or None where it lies outside what the reference pool reaches.

    Source: Ashukha et al. 2020, arXiv:2002.06470.

    Example:
        >>> deep_ensemble_equivalent(0.9, {1: 1.0, 2: 0.8})
        1.5
    """
    if math.isclose(cnll, curve[1], rel_tol=1e-12):
        return 1.0
    for size in range(1, max(curve)):
        if curve[size] > cnll >= curve[size + 1]:
            return size + (curve[size] - cnll) / (curve[size] - curve[size + 1])
    return None
