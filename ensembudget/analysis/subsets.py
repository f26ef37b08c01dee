"""Means over disjoint subsets of training images, so that an interval has the variation of the data in it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..records import Setting
from ..scoring.comparison import Verdict, verdict
from ..scoring.standard_errors import Variance
from ..scoring.subsets import OverSubsets, over_subsets
from .splits import BudgetResult, SplitResult


@dataclass(frozen=True)
class SubsetResult:
    """One split, trained on several subsets.

    Attributes:
        splits: One a subset.
        cnll: Of the mean CNLL, nats per sample.
        difference: Of the mean difference from the wide network of the same subset; None for itself, and
            where some subset has no wide network.
        verdict: Of that difference, by the wider of its intervals.
    """

    splits: tuple[SplitResult, ...]
    cnll: OverSubsets
    difference: OverSubsets | None
    verdict: Verdict | None

    @property
    def setting(self) -> Setting:
        """That of all subsets."""
        return self.splits[0].split.setting._replace(subset=None)


def subset_results(budgets: Sequence[BudgetResult]) -> tuple[SubsetResult, ...]:
    """Every split of every budget and setting that has a score on at least two subsets."""
    groups: dict[tuple[Setting, int], list[BudgetResult]] = {}
    for one in budgets:
        if one.setting.subset is not None:
            groups.setdefault((one.setting._replace(subset=None), one.budget), []).append(one)
    return tuple(result for group in groups.values() for result in _of_group(group))


def _of_group(group: Sequence[BudgetResult]) -> list[SubsetResult]:
    tables = [{one.split.members: one for one in budget.splits if one.score} for budget in group]
    found = []
    for members in sorted({members for table in tables for members in table}):
        pairs = [(table[members], table.get(1)) for table in tables if members in table]
        if len(pairs) > 1:
            found.append(_result(pairs))
    return found


def _result(pairs: Sequence[tuple[SplitResult, SplitResult | None]]) -> SubsetResult:
    splits = tuple(split for split, _ in pairs)
    cnll = over_subsets(np.array([_mean(one) for one in splits]), [_errors(one) for one in splits])
    paired = [(split, wide) for split, wide in pairs if wide is not None and wide is not split]
    if len(paired) < len(pairs):
        return SubsetResult(splits, cnll, None, None)
    gaps = np.array([_mean(split) - _mean(wide) for split, wide in paired])
    difference = over_subsets(gaps, [_both(_errors(split), _errors(wide)) for split, wide in paired])
    return SubsetResult(splits, cnll, difference, verdict(difference.wider))


def _mean(one: SplitResult) -> float:
    assert one.score is not None
    return one.score.cnll.value


def _errors(one: SplitResult) -> list[Variance] | None:
    assert one.score is not None
    errors = one.score.losses.errors
    return None if errors is None else [errors.cnll]


def _both(one: list[Variance] | None, other: list[Variance] | None) -> list[Variance] | None:
    return None if one is None or other is None else one + other
