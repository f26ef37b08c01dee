"""Every ensemble size out of one pool, over all disjoint groups."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..records import Score
from ..threads import torch_threads
from .calibration import cross_fitted_losses, geometric_mean, halvings
from .metrics import accuracy, agreement, brier, check_logits, disagreement, ece, label_losses
from .mixing import group_matrix, groups, pooled

_AT_ONCE = 2**25  # numbers: averages that are held at one time


@dataclass(frozen=True)
class PoolScores:
    """What a pool's ensembles are worth.

    Attributes:
        scores: One a (size, group), sizes ascending.
        losses: For every size, calibrated losses (group, sample) in nats.
        temperatures: For every size, the geometric mean temperature after averaging.
    """

    scores: list[Score]
    losses: dict[int, Tensor]
    temperatures: dict[int, float]

    def mean(self, size: int, metric: str) -> float:
        """A metric's mean over the groups of one size."""
        values: list[float] = [getattr(score, metric) for score in self.scores if score.members == size]
        return sum(values) / len(values)


@torch_threads(1)
def score_pool(logits: Tensor, labels: Tensor, *, cell: str = "", seed: int = 0) -> PoolScores:
    """Scores ensembles of every size from 1 to the pool's, each over all disjoint groups.

    Args:
        logits: (member, sample, class), any float dtype.
        labels: (sample,), integers in [0, class).
        cell: What the scores are named by.
        seed: Of the halvings on which temperatures are cross-fitted.

    Returns:
        Scores in float64, from float64 arithmetic.

    Raises:
        ScoreError: Shapes or types disagree, or numbers are not finite.

    Example:
        >>> import torch
        >>> logits = torch.randn(4, 100, 3, generator=torch.Generator().manual_seed(0))
        >>> scores = score_pool(logits, torch.arange(100) % 3).scores
        >>> [(score.members, score.replicate) for score in scores]
        [(1, 0), (1, 1), (1, 2), (1, 3), (2, 0), (2, 1), (3, 0), (4, 0)]
    """
    check_logits(logits, labels)
    labels, pool = labels.long(), len(logits)
    ensembles = [(size, *one) for size in range(1, pool + 1) for one in enumerate(groups(pool, size))]
    folds, membership = (
        halvings(len(labels), seed=seed),
        group_matrix(pool, [group for *_, group in ensembles]),
    )
    before, heat_before = cross_fitted_losses(logits, labels, folds, membership)
    # A single member's temperature has no before and after.
    after, heat = before.clone(), heat_before.clone()
    measured: list[dict[str, float]] = []
    for batch in _batches(pool, len(ensembles), at_once=max(1, _AT_ONCE // logits[0].numel())):
        predictions = pooled(logits, membership[batch])
        if batch.start >= pool:
            after[batch], heat[batch] = cross_fitted_losses(predictions, labels, folds)
        measured += [_uncalibrated(one, labels) for one in predictions]
        del predictions  # before the next ones are made
    agreements = agreement(logits.argmax(-1))
    scores = [
        Score(
            cell=cell,
            members=size,
            replicate=replicate,
            cnll=float(after[row].mean()),
            cnll_before=float(before[row].mean()),
            temperature=geometric_mean(heat[row]),
            temperature_before=geometric_mean(heat_before[row]),
            disagreement=disagreement(agreements[group, group]),
            **measured[row],
        )
        for row, (size, replicate, group) in enumerate(ensembles)
    ]
    counts = [pool // size for size in range(1, pool + 1)]
    return PoolScores(
        scores,
        losses=dict(enumerate(after.split(counts), 1)),
        temperatures={size: geometric_mean(some) for size, some in enumerate(heat.split(counts), 1)},
    )


@torch_threads(1)
def size_losses(
    logits: Tensor, labels: Tensor, sizes: Sequence[int], *, seed: int = 0
) -> tuple[dict[int, Tensor], dict[int, float]]:
    """What `score_pool` gives as `losses` and `temperatures`, of these sizes and nothing else.

    Raises:
        ScoreError: As `score_pool`.
    """
    check_logits(logits, labels)
    labels, folds = labels.long(), halvings(len(labels), seed=seed)
    losses, temperatures = {}, {}
    for size in sizes:
        membership = group_matrix(len(logits), groups(len(logits), size))
        predictions = logits if size == 1 else pooled(logits, membership)
        losses[size], heat = cross_fitted_losses(predictions, labels, folds)
        temperatures[size] = geometric_mean(heat)
    return losses, temperatures


def _batches(pool: int, ensembles: int, at_once: int) -> Iterator[slice]:
    """Ensembles that are averaged together: single members first, then the others."""
    for first, last in ((0, pool), (pool, ensembles)):
        for start in range(first, last, at_once):
            yield slice(start, min(start + at_once, last))


def _uncalibrated(log_probs: Tensor, labels: Tensor) -> dict[str, float]:
    """What an average is worth as it stands: (sample, class) against (sample,)."""
    return {
        "accuracy": accuracy(log_probs, labels),
        "nll": float(label_losses(log_probs, labels).mean()),
        "brier": brier(log_probs, labels),
        "ece": ece(log_probs, labels),
    }


def deep_ensemble_equivalent(cnll: float, curve: dict[int, float]) -> float | None:
    """How many members of a reference cell are worth this CNLL, interpolated between sizes.

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
