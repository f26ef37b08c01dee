"""Splits in every dtype side by side: at one budget, which is best of all."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..records import Setting
from ..scoring.comparison import Compared, Verdict, compare
from .splits import BudgetResult, SplitResult, SplitScore


@dataclass(frozen=True)
class DtypeResult:
    """A split in one dtype among those of all dtypes at its budget.

    Attributes:
        result: The split.
        compared: With the wide network in the first dtype that has one, and with the best split in any dtype.
            Splits of one width are of the same trained members, and count as independent: if that makes them
            alike, intervals are wider than they need be.
        best_of_dtype: Whether it has the lowest CNLL of its own dtype.
    """

    result: SplitResult
    compared: Compared
    best_of_dtype: bool

    @property
    def score(self) -> SplitScore:
        assert self.result.score is not None
        return self.result.score


@dataclass(frozen=True)
class DtypeComparison:
    """The splits of one budget, in every dtype of the study.

    Attributes:
        setting: What they share of the study's axes.
        rows: In the order of dtypes, then of members.
    """

    setting: Setting
    budget: int
    budget_kind: str
    rows: tuple[DtypeResult, ...]

    @property
    def best(self) -> DtypeResult:
        return next(row for row in self.rows if row.compared.best == Verdict.BEST)

    @property
    def best_of_each(self) -> list[DtypeResult]:
        """The best split of each dtype."""
        return [row for row in self.rows if row.best_of_dtype]


def dtype_comparisons(budgets: Sequence[BudgetResult]) -> tuple[DtypeComparison, ...]:
    """Every budget at which splits in at least two dtypes are scored."""
    groups: dict[tuple[Setting, int], list[BudgetResult]] = {}
    for one in budgets:
        if one.setting.dtype and one.best:
            groups.setdefault((one.setting._replace(dtype=""), one.budget), []).append(one)
    return tuple(
        _comparison(setting, of_dtypes) for (setting, _), of_dtypes in groups.items() if len(of_dtypes) > 1
    )


def _comparison(setting: Setting, of_dtypes: Sequence[BudgetResult]) -> DtypeComparison:
    scored = [(one, split) for one in of_dtypes for split in one.splits if split.score]
    compared = compare([split.score.losses for _, split in scored if split.score])
    rows = tuple(
        DtypeResult(split, found, split is one.best)
        for (one, split), found in zip(scored, compared, strict=True)
    )
    return DtypeComparison(setting, of_dtypes[0].budget, of_dtypes[0].budget_kind, rows)
