"""Whether another way of training changes the best split: for every budget, each arm against the first."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ..records import Interval, Split
from ..scoring.bootstrap import interval
from ..scoring.comparison import SplitLosses, Verdict, bootstrap_losses, verdict
from ..scoring.pools import Results


class BestSplit(StrEnum):
    """How an arm's best split relates to the first arm's."""

    SAME = "same"
    CHANGED = "changed"  # the first arm's best n is worse here, by an interval above zero
    UNRESOLVED = "not told apart"
    NOT_TRAINED = "not trained"  # this arm has no split of that n


@dataclass(frozen=True)
class AgainstFirst:
    """An arm at a budget against the first arm there.

    Attributes:
        arm: The first arm's name.
        members: Of the first arm's best split.
        difference: This arm's lowest CNLL minus the first's, nats per sample.
        verdict: Of that difference.
        same_best: Share of the bootstrap draws in which both have the same best n.
        carried: CNLL with the first arm's best n minus this arm's lowest; None where they are one split.
        best_split: What became of the best split.
    """

    arm: str
    members: int
    difference: Interval
    verdict: Verdict
    same_best: float
    carried: Interval | None
    best_split: BestSplit


@dataclass(frozen=True)
class ArmResult:
    """The best split of an arm at a budget.

    Attributes:
        split: The one with the lowest CNLL, selected on the test set.
        cnll: Its CNLL, nats per sample.
        advantage: Best minus wide; None where the wide network is best, or is not there.
        against: The first arm; None for itself.
    """

    split: Split
    cnll: float
    advantage: Interval | None
    against: AgainstFirst | None = None


def arm_results(results: Results) -> tuple[ArmResult, ...]:
    """Every budget's arms in the study's order; nothing where a study has one arm."""
    if len(results.plan.arms) < 2:
        return ()
    found: list[ArmResult] = []
    for budget in sorted({split.budget for split in results.plan.splits}):
        found += _of_budget([s for s in results.plan.splits if s.budget == budget], results)
    return tuple(found)


def _of_budget(splits: Sequence[Split], results: Results) -> list[ArmResult]:
    found: list[ArmResult] = []
    first: _Bootstrapped | None = None
    for arm in results.plan.arms:
        its = [(s, results.pool_of(s).split_losses(s.members)) for s in splits if s.arm == arm]
        scored = [(split, one) for split, one in its if one is not None]
        if not scored:
            continue
        one = _Bootstrapped([split for split, _ in scored], [losses for _, losses in scored])
        found.append(one.result(_against(one, first) if first else None))
        if arm == results.plan.arms[0]:
            first = one
    return found


class _Bootstrapped:
    """An arm's splits at one budget, with their bootstrapped losses."""

    def __init__(self, splits: Sequence[Split], losses: Sequence[SplitLosses]) -> None:
        self.splits = splits
        self.means, self.moves = bootstrap_losses(losses)
        self.best = int(self.means.argmin())
        self.lowest = np.array([s.members for s in splits])[(self.means[:, None] + self.moves).argmin(0)]

    def result(self, against: AgainstFirst | None) -> ArmResult:
        wide = self.index_of(1)
        advantage = None if wide in (None, self.best) else self.minus(self.best, self, wide)
        return ArmResult(self.splits[self.best], float(self.means[self.best]), advantage, against)

    def index_of(self, members: int) -> int | None:
        return next((i for i, s in enumerate(self.splits) if s.members == members), None)

    def minus(self, index: int, other: "_Bootstrapped", its: int | None) -> Interval:
        assert its is not None
        return interval(float(self.means[index] - other.means[its]), self.moves[index] - other.moves[its])


def _against(one: _Bootstrapped, first: _Bootstrapped) -> AgainstFirst:
    members = first.splits[first.best].members
    difference = one.minus(one.best, first, first.best)
    there, carried = one.index_of(members), None
    if there is None:
        best_split = BestSplit.NOT_TRAINED
    elif there == one.best:
        best_split = BestSplit.SAME
    else:
        carried = one.minus(there, one, one.best)
        worse = carried.low is not None and carried.low > 0
        best_split = BestSplit.CHANGED if worse else BestSplit.UNRESOLVED
    return AgainstFirst(
        arm=first.splits[0].arm,
        members=members,
        difference=difference,
        verdict=verdict(difference),
        same_best=float((one.lowest == first.lowest).mean()),
        carried=carried,
        best_split=best_split,
    )
