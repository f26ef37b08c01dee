"""Splits of one budget side by side: differences from the wide network, verdicts, and ties."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from torch import Tensor

from ..arrays import Array
from ..records import Interval
from .bootstrap import Spread, group_deviations, interval, member_deviations, sample_deviations
from .ensembles import PoolScores
from .influence import MANY_GROUPS


class Verdict(StrEnum):
    """How one loss compares with another."""

    BEST = "best"  # it is the other, and the lowest
    BETTER = "better"  # lower, by an interval that excludes zero
    TIE = "tie"  # the interval of the difference holds zero
    WORSE = "worse"


@dataclass(frozen=True)
class SplitLosses:
    """What a split is compared by: its calibrated losses, and how they move with the members.

    Attributes:
        members: Ensemble size.
        losses: Calibrated loss of every test sample, mean over the groups, (sample,), nats.
        spread: Under a bootstrap over members; None for a pool of one, which shows none.
    """

    members: int
    losses: Array
    spread: Spread | None


@dataclass(frozen=True)
class Compared:
    """How a split stands among the splits of its budget.

    Attributes:
        difference: In CNLL from the wide network, over members and test samples.
        verdict: Against the wide network; None for itself, or where it is missing.
        best: Against the split of lowest CNLL: that very one, a tie with it, or worse.
        frequency_best: Share of the draws in which it has the lowest CNLL.
    """

    difference: Interval | None
    verdict: Verdict | None
    best: Verdict
    frequency_best: float


def split_losses(
    logits: Tensor, labels: Tensor, scores: PoolScores, size: int, *, seed: int = 0
) -> SplitLosses:
    """What an ensemble size of a pool is compared by.

    Args:
        logits: The pool's, (member, sample, class).
        labels: (sample,).
        scores: Of that pool.
        size: The ensemble's.
        seed: Of the bootstrap over members.
    """
    losses = scores.losses[size].mean(0).numpy()
    groups = [score for score in scores.scores if score.members == size]
    if len(groups) >= MANY_GROUPS:
        return SplitLosses(size, losses, group_deviations(groups, seed=seed))
    moved = member_deviations(logits, labels, size, scores.temperatures[size], seed=seed)
    return SplitLosses(size, losses, moved)


def bootstrap_losses(splits: Sequence[SplitLosses], seed: int = 0) -> tuple[Array, Array]:
    """Each split's mean loss, (split,), and how it moves with members and samples, (split, draw).

    Equal seeds resample the same test samples, so splits of several calls are paired too.
    """
    losses = np.stack([one.losses for one in splits])
    moves = sample_deviations(losses, seed=seed)
    for row, one in zip(moves, splits, strict=True):
        row += 0 if one.spread is None else one.spread.cnll
    return losses.mean(1), moves


def compare(splits: Sequence[SplitLosses], seed: int = 0) -> list[Compared]:
    """Compares the splits of one budget with the wide network, where there is one, and with the best.

    A difference's interval is over members (each split's own) and over test samples (paired). A split
    whose interval to the best holds zero is a tie with it.

    Args:
        splits: The one of a single member is the wide network.
        seed: Of the bootstrap over test samples.

    Returns:
        One a split, in order.
    """
    means, moves = bootstrap_losses(splits, seed)
    wide = next((i for i, one in enumerate(splits) if one.members == 1), None)
    best = int(means.argmin())
    lowest = (means[:, None] + moves).argmin(0)

    def minus(i: int, j: int) -> Interval:
        return interval(float(means[i] - means[j]), moves[i] - moves[j])

    from_wide = [None if wide in (None, i) else minus(i, wide) for i in range(len(splits))]
    return [
        Compared(
            difference=difference,
            verdict=None if difference is None else verdict(difference),
            best=Verdict.BEST if i == best else verdict(minus(i, best)),
            frequency_best=float((lowest == i).mean()),
        )
        for i, difference in enumerate(from_wide)
    ]


def verdict(difference: Interval) -> Verdict:
    """What the interval of a difference in loss says.

    >>> verdict(Interval(value=-0.2, low=-0.3, high=-0.1))
    <Verdict.BETTER: 'better'>
    """
    assert difference.low is not None
    assert difference.high is not None
    if difference.low <= 0 <= difference.high:
        return Verdict.TIE
    return Verdict.BETTER if difference.high < 0 else Verdict.WORSE
