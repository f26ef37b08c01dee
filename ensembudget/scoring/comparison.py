"""Splits of one budget side by side: intervals, differences from the wide network, and ties."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..records import Interval
from .ensembles import PoolScores, groups
from .metrics import label_losses

DRAWS = 500
LEVEL = 0.95
_AT_ONCE = 2**24  # numbers held at one time while resampling

Draws = NDArray[np.float64]


class Spread(NamedTuple):
    """How the means of three metrics move when members are redrawn, each (draw,), of mean zero."""

    accuracy: Draws
    nll: Draws
    cnll: Draws


@dataclass(frozen=True)
class Contender:
    """One split's measured side: its calibrated losses, and how they move with the members.

    Attributes:
        members: Ensemble size.
        losses: Calibrated loss of every test sample, mean over the groups, (sample,), nats.
        spread: Over redrawn members; None for a pool of one, which shows none.
    """

    members: int
    losses: Draws
    spread: Spread | None


@dataclass(frozen=True)
class Compared:
    """How a split stands among the splits of its budget."""

    difference: Interval | None  # from the smallest ensemble, over members and test samples
    verdict: str  # beside the smallest: "better", "worse" or "tie"; "" for itself
    best: str  # "best", "tie" with the best, or ""
    frequency_best: float  # share of the draws in which it is lowest


def interval(value: float, deviations: Draws | None) -> Interval:
    """A value with the central 95% of its deviations about it; bare where there are none."""
    if deviations is None:
        return Interval(value=value)
    low, high = np.quantile(deviations, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value=value, low=value + float(low), high=value + float(high))


def contender(logits: Tensor, labels: Tensor, scores: PoolScores, size: int, seed: int = 0) -> Contender:
    """An ensemble size of a pool, ready to be compared.

    Args:
        logits: The pool's, (member, sample, class).
        labels: (sample,).
        scores: Of that pool.
        size: The ensemble's.
        seed: Draws the members.
    """
    losses = scores.losses[size].mean(0).numpy()
    moved = member_deviations(logits, labels, size, scores.temperatures[size], seed=seed)
    return Contender(size, losses, moved)


def member_deviations(
    logits: Tensor, labels: Tensor, size: int, temperature: float, *, draws: int = DRAWS, seed: int = 0
) -> Spread | None:
    """How the means of disjoint ensembles move when the pool's members are drawn anew.

    A bootstrap over members, because ensembles out of one pool share them: each draw takes as many
    members as the pool has, with replacement, and groups them anew. A member drawn twice makes its
    group a little worse, so only the spread about the draws' own mean is used.

    Args:
        logits: (member, sample, class).
        labels: (sample,).
        size: Members a group.
        temperature: Held fixed, after averaging.
        draws: How many.
        seed: Of the draws.

    Returns:
        Deviations of mean zero; None for a pool of one, which shows no spread.
    """
    pool, samples, classes = logits.shape
    if pool == 1:
        return None
    count = len(groups(pool, size))
    picks = np.random.default_rng([seed, size]).integers(pool, size=(draws, count, size))
    weights = np.zeros((draws * count, pool), np.float32)
    np.add.at(weights, (np.arange(draws * count)[:, None], picks.reshape(-1, size)), 1 / size)
    # Few members make few different groups: each is scored once.
    distinct, which = np.unique(weights, axis=0, return_inverse=True)
    probs = logits.float().softmax(-1).flatten(1)
    means = []
    for some in torch.from_numpy(distinct).split(max(1, _AT_ONCE // (samples * classes))):
        log_probs = (some @ probs).clamp_min_(1e-38).log_().unflatten(1, (samples, classes))
        right = (log_probs.argmax(-1) == labels).double().mean(1)
        nll = label_losses(log_probs, labels.long()).double().mean(1)
        log_probs = log_probs.div_(temperature).log_softmax(-1)
        means.append(torch.stack([right, nll, label_losses(log_probs, labels.long()).double().mean(1)]))
    by_group = torch.cat(means, 1).numpy()[:, which.ravel()]  # (metric, draw x group)
    values = by_group.reshape(3, draws, count).mean(2)
    return Spread(*(values - values.mean(1, keepdims=True)))


def sample_deviations(losses: NDArray[np.float64], *, draws: int = DRAWS, seed: int = 0) -> Draws:
    """How mean losses move when test samples are drawn anew: (split, sample) to (split, draw).

    All splits see the same draws, so their differences are paired.
    """
    samples = losses.shape[1]
    rng = np.random.default_rng(seed)
    moved = np.stack([losses[:, rng.integers(samples, size=samples)].mean(1) for _ in range(draws)], 1)
    deviations: Draws = moved - losses.mean(1, keepdims=True)
    return deviations


def compare(contenders: Sequence[Contender], seed: int = 0) -> list[Compared]:
    """Compares the splits of one budget with the smallest ensemble among them, and with the best.

    A difference's interval is over members (each split's own) and over test samples (paired). What
    cannot be told from the best by such an interval is a tie with it.

    Args:
        contenders: One a split; the first by size is the one that the others are set beside.
        seed: Draws the test samples.

    Returns:
        One a contender, in order.
    """
    losses = np.stack([one.losses for one in contenders])
    means = losses.mean(1)
    moves = sample_deviations(losses, seed=seed)
    for row, one in zip(moves, contenders, strict=True):
        row += 0 if one.spread is None else one.spread.cnll
    first = min(range(len(contenders)), key=lambda i: contenders[i].members)
    best = int(means.argmin())
    lowest = (means[:, None] + moves).argmin(0)

    def difference(i: int, j: int) -> Interval:
        return interval(float(means[i] - means[j]), moves[i] - moves[j])

    return [
        Compared(
            difference=None if i == first else difference(i, first),
            verdict="" if i == first else _verdict(difference(i, first)),
            best="best" if i == best else "tie" * (_verdict(difference(i, best)) == "tie"),
            frequency_best=float((lowest == i).mean()),
        )
        for i in range(len(contenders))
    ]


def _verdict(difference: Interval) -> str:
    assert difference.low is not None
    assert difference.high is not None
    if difference.low <= 0 <= difference.high:
        return "tie"
    return "better" if difference.high < 0 else "worse"
