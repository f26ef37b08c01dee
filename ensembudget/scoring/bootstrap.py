"""Intervals by the bootstrap: over the members of a pool, and over test samples."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from ..arrays import Array
from ..records import Interval, Score
from ..threads import torch_threads
from .ensembles import PoolScores
from .influence import accuracy_variance, losses_without_each, mean_losses
from .mixing import groups

DRAWS = 500
LEVEL = 0.95


class Spread(NamedTuple):
    """How the means of three metrics move under a bootstrap over members, each (draw,), of mean zero."""

    accuracy: Array
    nll: Array
    cnll: Array


def interval(value: float, deviations: Array | None) -> Interval:
    """A value with the central 95% of its deviations; without ends where there are none."""
    if deviations is None:
        return Interval(value=value)
    low, high = np.quantile(deviations, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value=value, low=value + float(low), high=value + float(high))


def mean_metrics(scores: PoolScores, size: int, spread: Spread | None) -> dict[str, Interval | None]:
    """Every metric's mean over the groups of one size, with an interval where `Spread` has deviations.

    Args:
        scores: Of a pool.
        size: The ensembles'.
        spread: Of that size's means; None for a pool of one.

    Returns:
        By name; None where a group has no such number, as a single member has no disagreement.
    """
    groups = [score.metrics for score in scores.scores if score.members == size]
    found: dict[str, Interval | None] = {}
    for name in groups[0]:
        deviations = getattr(spread, name, None)
        there = all(group[name] is not None for group in groups)
        found[name] = interval(scores.mean(size, name), deviations) if there else None
    return found


def group_deviations(scores: Sequence[Score], *, draws: int = DRAWS, seed: int = 0) -> Spread:
    """How the means over disjoint groups move when whole groups are resampled.

    No two groups share a member, so where there are many this is a bootstrap over members, and a cheap
    one: nothing is averaged again.

    Args:
        scores: Of all groups of one size.
        draws: How many.
        seed: Of the draws.
    """
    count = len(scores)
    values = np.array([[score.value(metric) for score in scores] for metric in Spread._fields])
    picks = np.random.default_rng(seed).integers(count, size=(draws, count))
    moved = values[:, picks].mean(2) - values.mean(1, keepdims=True)
    # Resampling g groups shows (g - 1) / g of the variance.
    return Spread(*(moved * (count / (count - 1)) ** 0.5))


@torch_threads(1)
def member_deviations(
    logits: Tensor, labels: Tensor, size: int, temperature: float, *, draws: int = DRAWS, seed: int = 0
) -> Spread | None:
    """How the means over disjoint groups move when the members of each group are resampled.

    Linear in each member's influence, which is what its group loses without it. Resampling members and
    averaging again was tried first: a member drawn twice makes an ensemble less diverse, and on diverse
    members the changing number of different ones made intervals three times too wide. Accuracy has no
    useful influence: its variance is summed over samples instead.

    Args:
        logits: (member, sample, class).
        labels: (sample,).
        size: Members a group.
        temperature: Held fixed, after averaging.
        draws: How many.
        seed: Of the draws.

    Returns:
        Deviations, zero in expectation; None for a pool of one, which shows no spread.
    """
    if len(logits) == 1:
        return None
    labels, rng = labels.long(), np.random.default_rng([seed, size])
    if size == 1:  # alone, a member's influence is its own score
        right = (logits.argmax(-1) == labels).double().mean(1).numpy()
        values = np.stack([right, *mean_losses(logits, labels, temperature)])
        return Spread(*_resampled(values[:, None], draws, rng))
    parts = [logits[group] for group in groups(len(logits), size)]
    lost = [(1 - size) * losses_without_each(part, labels, temperature) for part in parts]
    nll, cnll = _resampled(np.stack(lost, 1), draws, rng)
    variance = sum(accuracy_variance(part, labels) for part in parts) / len(parts) ** 2
    return Spread(rng.standard_normal(draws) * variance**0.5, nll, cnll)


def sample_deviations(losses: Array, *, draws: int = DRAWS, seed: int = 0) -> Array:
    """How mean losses move when test samples are resampled: (split, sample) to (split, draw).

    All splits see the same draws, so their differences are paired.
    """
    samples = losses.shape[1]
    rng = np.random.default_rng(seed)
    moved = np.stack([losses[:, rng.integers(samples, size=samples)].mean(1) for _ in range(draws)], 1)
    deviations: Array = moved - losses.mean(1, keepdims=True)
    return deviations


def _resampled(values: Array, draws: int, rng: np.random.Generator) -> Array:
    """Deviations of means over resampled members: (metric, group, member) to (metric, draw)."""
    centred = values - values.mean(2, keepdims=True)
    _, count, each = values.shape
    picks = rng.integers(each, size=(draws, count, each))
    # Resampling n values shows (n - 1) / n of the variance.
    scale = math.sqrt(each / (each - 1))
    moved: Array = scale * centred[:, np.arange(count)[:, None], picks].mean((2, 3))
    return moved
