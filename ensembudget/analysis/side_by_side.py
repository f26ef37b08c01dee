"""Splits of several settings side by side: at one budget, which is best of all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..records import Setting
from ..scoring.comparison import Compared, Verdict, compare
from .splits import BudgetResult, SplitResult, SplitScore


@dataclass(frozen=True)
class Contender:
    """A split of one setting among those of all settings at its budget.

    Attributes:
        result: The split.
        compared: With the wide network of the first setting that has one, and with the best split of any.
            Splits of two settings count as independent: if that makes them alike (they may share starts, or
            trained members), intervals are wider than they need be.
        best_of_its: Whether it has the lowest CNLL of its own setting.
    """

    result: SplitResult
    compared: Compared
    best_of_its: bool

    @property
    def score(self) -> SplitScore:
        assert self.result.score is not None
        return self.result.score


@dataclass(frozen=True)
class Contenders:
    """The splits of one budget, of several settings.

    Attributes:
        setting: What they share of the study's axes.
        rows: In the order of settings, then of members.
    """

    setting: Setting
    budget: int
    budget_kind: str
    rows: tuple[Contender, ...]

    @property
    def best(self) -> Contender:
        return next(row for row in self.rows if row.compared.best == Verdict.BEST)

    @property
    def best_of_each(self) -> list[Contender]:
        """The best split of each setting."""
        return [row for row in self.rows if row.best_of_its]


def side_by_side(
    budgets: Sequence[BudgetResult], shared: Callable[[Setting], Setting]
) -> tuple[Contenders, ...]:
    """Every budget at which splits of at least two settings are scored.

    Args:
        budgets: Those to compare.
        shared: What a setting has in common with those that it is compared with.
    """
    groups: dict[tuple[Setting, int], list[BudgetResult]] = {}
    for one in budgets:
        if one.best:
            groups.setdefault((shared(one.setting), one.budget), []).append(one)
    return tuple(_compared(setting, some) for (setting, _), some in groups.items() if len(some) > 1)


def _compared(setting: Setting, some: Sequence[BudgetResult]) -> Contenders:
    scored = [(one, split) for one in some for split in one.splits if split.score]
    compared = compare([split.score.losses for _, split in scored if split.score])
    rows = tuple(
        Contender(split, found, split is one.best)
        for (one, split), found in zip(scored, compared, strict=True)
    )
    return Contenders(setting, some[0].budget, some[0].budget_kind, rows)
