"""Splits of one budget side by side: differences from the wide network, verdicts, and ties."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from torch import Tensor

from ..arrays import Array
from ..records import Interval
from .clusters import Clusters, count_of
from .ensembles import PoolScores
from .joint import ErrorParts, Joint, sample_covariance
from .standard_errors import MemberErrors, member_errors


class Verdict(StrEnum):
    """How one loss compares with another."""

    BEST = "best"  # it is the other, and the lowest
    BETTER = "better"  # lower, by an interval that excludes zero
    TIE = "tie"  # the interval of the difference holds zero
    WORSE = "worse"
    NOT_JUDGED = "not judged"  # a pool of one member: nothing shows how members vary


@dataclass(frozen=True)
class SplitLosses:
    """What a split is compared by: its calibrated losses, and how its means err over members.

    Attributes:
        members: Ensemble size.
        losses: Calibrated loss of every test sample, mean over the groups, (sample,), nats.
        errors: Over members; None for a pool of one, which shows none.
        clusters: Which of the losses are of one test sample; None where each is of its own.
    """

    members: int
    losses: Array
    errors: MemberErrors | None
    clusters: Clusters | None = None


@dataclass(frozen=True)
class Compared:
    """How a split stands among the splits of its budget.

    Attributes:
        difference: In CNLL from the wide network, over members and test samples; the intervals of all splits
            of the budget hold at once.
        parts: What the variance of that difference comes from.
        verdict: Against the wide network; None for itself, or where it is missing.
        above: CNLL minus that of the best split; the best was chosen for being lowest, and the interval knows
            it.
        best: Against the split of lowest CNLL: that very one, a tie with it, or worse.
        frequency_best: Share of the draws in which it has the lowest CNLL; None where some split is not
            judged.
    """

    difference: Interval | None
    parts: ErrorParts | None
    verdict: Verdict | None
    above: Interval
    best: Verdict
    frequency_best: float | None


def split_losses(logits: Tensor, labels: Tensor, scores: PoolScores, size: int) -> SplitLosses:
    """What an ensemble size of a pool is compared by.

    Args:
        logits: The pool's, (member, sample, class).
        labels: (sample,).
        scores: Of that pool.
        size: The ensemble's.
    """
    losses = scores.losses[size].mean(0).numpy()
    return SplitLosses(size, losses, member_errors(logits, labels, scores, size), scores.clusters)


def joint_of(splits: Sequence[SplitLosses], seed: int = 0) -> Joint:
    """How the mean losses of splits err together; none may be of a pool of one."""
    errors = [one.errors for one in splits if one.errors is not None]
    assert len(errors) == len(splits)
    losses, clusters = np.stack([one.losses for one in splits]), splits[0].clusters
    interactions = np.array([one.interaction for one in errors])
    return Joint(
        means=losses.mean(1),
        members=[one.cnll for one in errors],
        samples=sample_covariance(losses, interactions, clusters),
        count=count_of(losses.shape[1], clusters),
        seed=seed,
    )


def compare(splits: Sequence[SplitLosses], seed: int = 0) -> list[Compared]:
    """Compares the splits of one budget with the wide network, where there is one, and with the best.

    Errors are over members, each split's own, and over test samples, which all splits share. With probability
    95% all intervals against the wide network hold at once, and, were all splits equal, none would be called
    worse than the best. A pool of one member has no interval and no verdict.

    Args:
        splits: The one of a single member is the wide network.
        seed: Of the draws from which several verdicts at once get their level.

    Returns:
        One a split, in order.
    """
    means = [float(one.losses.mean()) for one in splits]
    best = int(np.argmin(means))
    wide = next((i for i, one in enumerate(splits) if one.members == 1), None)
    judged = [i for i, one in enumerate(splits) if one.errors is not None]
    place: dict[int | None, int] = {split: row for row, split in enumerate(judged)}
    joint = joint_of([splits[i] for i in judged], seed) if judged else None
    shares = _shares(joint) if joint and len(judged) == len(splits) else [None] * len(splits)

    def minus(i: int, j: int, level: float) -> tuple[Interval, ErrorParts | None]:
        if joint is None or i not in place or j not in place:
            return Interval(value=means[i] - means[j]), None
        return joint.minus(place[i], place[j], level), joint.parts(place[i], place[j])

    from_wide = joint.level_from(place[wide]) if joint and wide in place else 0.0
    from_best = joint.level_from_best if joint else 0.0
    found = []
    for i in range(len(splits)):
        difference, parts = (None, None) if wide is None or wide == i else minus(i, wide, from_wide)
        above = Interval(value=0.0) if i == best else minus(i, best, from_best)[0]
        found.append(
            Compared(
                difference=difference,
                parts=parts,
                verdict=None if difference is None else verdict(difference),
                above=above,
                best=Verdict.BEST if i == best else verdict(above),
                frequency_best=shares[i],
            )
        )
    return found


def minus_lowest(splits: Sequence[SplitLosses], some: Sequence[int], seed: int = 0) -> list[Interval | None]:
    """Each split's difference from the lowest of some of them, with intervals that hold at once.

    That one was chosen for being lowest, and the intervals know it. Where a split is of a pool of one there
    are none.

    Args:
        splits: Of one budget.
        some: Which may be the lowest, counted from 0; at least one.
        seed: Of the draws.

    Returns:
        One a split, in order; None for the lowest of those itself.
    """
    means = [float(one.losses.mean()) for one in splits]
    lowest = min(some, key=lambda i: means[i])
    others = [i for i in range(len(splits)) if i != lowest]
    found: list[Interval | None] = [None] * len(splits)
    judged = all(one.errors is not None for one in splits)
    joint = joint_of(splits, seed) if judged else None
    level = joint.level_from_lowest(some) if joint else 0.0
    for i in others:
        found[i] = joint.minus(i, lowest, level) if joint else Interval(value=means[i] - means[lowest])
    return found


def minus(one: SplitLosses, other: SplitLosses) -> Interval:
    """The difference of two mean losses with Student's interval; no ends where one is of a pool of one."""
    if one.errors is None or other.errors is None:
        return Interval(value=float(one.losses.mean() - other.losses.mean()))
    return joint_of([one, other]).minus(0, 1)


def _shares(joint: Joint) -> list[float]:
    """Of the draws, those in which each split is lowest."""
    lowest = joint.lowest(range(len(joint.means)))
    return [float((lowest == i).mean()) for i in range(len(joint.means))]


def lowest_difference(differences: Sequence[Interval]) -> Interval:
    """The lowest of differences whose intervals hold at once.

    Its interval reaches from the lowest of the lower ends to the lowest of the upper ends, so it holds the
    lowest true difference, whichever was measured lowest. It has none where one of them has none.

    >>> some = Interval(value=-0.2, low=-0.3, high=-0.1), Interval(value=-0.1, low=-0.4, high=0.2)
    >>> lowest_difference(some)
    Interval(value=-0.2, low=-0.4, high=-0.1)
    """
    lows = [one.low for one in differences if one.low is not None]
    highs = [one.high for one in differences if one.high is not None]
    whole = len(lows) == len(highs) == len(differences)
    return Interval(
        value=min(one.value for one in differences),
        low=min(lows) if whole else None,
        high=min(highs) if whole else None,
    )


def verdict(difference: Interval) -> Verdict:
    """What the interval of a difference in loss says.

    >>> verdict(Interval(value=-0.2, low=-0.3, high=-0.1)), verdict(Interval(value=-0.2))
    (<Verdict.BETTER: 'better'>, <Verdict.NOT_JUDGED: 'not judged'>)
    """
    if difference.low is None or difference.high is None:
        return Verdict.NOT_JUDGED
    if difference.low <= 0 <= difference.high:
        return Verdict.TIE
    return Verdict.BETTER if difference.high < 0 else Verdict.WORSE
