"""Every ensemble size out of one pool, over all disjoint groups."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..records import Score
from .calibration import cross_fitted_losses, geometric_mean, halvings
from .metrics import accuracy, brier, check_logits, disagreement, ece, label_losses, pooled


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


def groups(pool: int, size: int) -> list[slice]:
    """The disjoint groups of one size in a pool, from its first member on.

    >>> groups(5, 2)
    [slice(0, 2, None), slice(2, 4, None)]
    """
    return [slice(first, first + size) for first in range(0, pool - size + 1, size)]


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
        >>> logits = torch.randn(4, 100, 3, generator=torch.Generator().manual_seed(0))
        >>> scores = score_pool(logits, torch.arange(100) % 3).scores
        >>> [(score.members, score.replicate) for score in scores]
        [(1, 0), (1, 1), (1, 2), (1, 3), (2, 0), (2, 1), (3, 0), (4, 0)]
    """
    check_logits(logits, labels)
    log_probs, labels = logits.double().log_softmax(-1), labels.long()
    folds = halvings(len(labels), seed=seed)
    scores, losses, temperatures = [], {}, {}
    for size in range(1, len(logits) + 1):
        members = torch.stack([log_probs[group] for group in groups(len(logits), size)])
        averages = pooled(members, dim=1)
        after, heat = cross_fitted_losses(averages[:, None], labels, folds)
        before, heat_before = (after, heat) if size == 1 else cross_fitted_losses(members, labels, folds)
        for replicate, average in enumerate(averages):
            scores.append(
                Score(
                    cell=cell,
                    members=size,
                    replicate=replicate,
                    accuracy=accuracy(average, labels),
                    nll=float(label_losses(average, labels).mean()),
                    cnll=float(after[replicate].mean()),
                    cnll_before=float(before[replicate].mean()),
                    temperature=geometric_mean(heat[replicate]),
                    temperature_before=geometric_mean(heat_before[replicate]),
                    brier=brier(average, labels),
                    ece=ece(average, labels),
                    disagreement=disagreement(members[replicate]),
                )
            )
        losses[size], temperatures[size] = after, geometric_mean(heat)
    return PoolScores(scores, losses, temperatures)


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
