"""Whether another way of training changes the best split: for every budget, each arm against the first."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ..records import Interval, Setting, Split
from ..scoring.comparison import Verdict, joint_of, minus, verdict
from .splits import BudgetResult, SplitResult, SplitScore


class BestSplit(StrEnum):
    """How an arm's best split relates to the first arm's."""

    SAME = "same"
    CHANGED = "changed"  # the first arm's best n is worse here, by an interval above zero
    UNRESOLVED = "not told apart"
    NOT_JUDGED = "not judged"  # pools of one member
    NOT_TRAINED = "not trained"  # this arm has no split of that n


@dataclass(frozen=True)
class AgainstFirst:
    """An arm at a budget against the first arm there.

    Attributes:
        arm: The first arm's name.
        members: Of the first arm's best split.
        difference: This arm's lowest CNLL minus the first's, nats per sample, with Student's interval.
            Members of two arms count as independent. Arms share starts, seed by seed: if that makes them
            alike, the interval is wider than it need be.
        verdict: Of that difference.
        same_best: Share of the draws in which both have the same best n; None where some split is not judged.
        carried: CNLL with the first arm's best n minus this arm's lowest; None where they are one split. Its
            interval knows that the lowest was chosen.
        best_split: What became of the best split.
    """

    arm: str
    members: int
    difference: Interval
    verdict: Verdict
    same_best: float | None
    carried: Interval | None
    best_split: BestSplit


@dataclass(frozen=True)
class ArmResult:
    """The best split of an arm at a budget.

    Attributes:
        split: The one with the lowest CNLL, selected on the test set.
        cnll: Its CNLL, nats per sample.
        advantage: Best minus wide, by an interval that holds for all splits at once; None where the wide
            network is best, or is not there.
        against: The first arm; None for itself.
    """

    split: Split
    cnll: float
    advantage: Interval | None
    against: AgainstFirst | None = None


def arm_results(budgets: Sequence[BudgetResult], settings: Sequence[Setting]) -> tuple[ArmResult, ...]:
    """Arms side by side at every budget and every value of the other axes; nothing where there is one arm.

    Args:
        budgets: Every budget and setting.
        settings: The study's, in its order.
    """
    arms = list(dict.fromkeys(setting.arm for setting in settings))
    if len(arms) < 2:
        return ()
    others = dict.fromkeys(setting._replace(arm="") for setting in settings)
    found: list[ArmResult] = []
    for budget in sorted({one.budget for one in budgets}):
        for other in others:
            its = {
                one.setting.arm: one
                for one in budgets
                if one.budget == budget and one.setting._replace(arm="") == other and one.best
            }
            first = its.get(arms[0])
            for arm in arms:
                if arm in its:
                    found.append(_result(its[arm], first if arm != arms[0] else None))
    return tuple(found)


def _result(one: BudgetResult, first: BudgetResult | None) -> ArmResult:
    best, score = _best(one)
    advantage, against = score.compared.difference, _against(one, first) if first else None
    return ArmResult(best.split, score.cnll.value, advantage, against)


def _best(one: BudgetResult) -> tuple[SplitResult, SplitScore]:
    assert one.best is not None
    assert one.best.score is not None
    return one.best, one.best.score


def _against(one: BudgetResult, first: BudgetResult) -> AgainstFirst:
    (its, score), (other, other_score) = _best(one), _best(first)
    members = other.split.members
    difference = minus(score.losses, other_score.losses)
    there = next((s for s in one.splits if s.score and s.split.members == members), None)
    carried = there.score.compared.above if there and there.score and there is not its else None
    return AgainstFirst(
        arm=first.setting.arm,
        members=members,
        difference=difference,
        verdict=verdict(difference),
        same_best=_same_best(one, first),
        carried=carried,
        best_split=_best_split(there, its),
    )


def _best_split(there: SplitResult | None, its: SplitResult) -> BestSplit:
    """What became of the first arm's best n, given this arm's split of that n and its best."""
    if there is None or there.score is None:
        return BestSplit.NOT_TRAINED
    if there is its:
        return BestSplit.SAME
    answers = {Verdict.WORSE: BestSplit.CHANGED, Verdict.TIE: BestSplit.UNRESOLVED}
    return answers.get(there.score.compared.best, BestSplit.NOT_JUDGED)


def _same_best(one: BudgetResult, first: BudgetResult) -> float | None:
    """Share of the draws of all errors in which both arms have the same best n."""
    scored = [(arm, s.split.members, s.score.losses) for arm in (one, first) for s in arm.splits if s.score]
    if any(losses.errors is None for *_, losses in scored):
        return None
    joint = joint_of([losses for *_, losses in scored])
    sizes = np.array([members for _, members, _ in scored])
    lowest = [
        sizes[joint.lowest([i for i, (its, *_) in enumerate(scored) if its is arm])] for arm in (one, first)
    ]
    return float((lowest[0] == lowest[1]).mean())
