"""Splits of every method side by side: at one budget, are several cheap predictors worth whole networks?"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from ..records import INDEPENDENT, Interval, UnitFacts
from ..scoring.comparison import minus_lowest
from .side_by_side import Contender, Contenders, side_by_side
from .splits import BudgetResult, SplitResult

UNIT_FACTS = ("disagreement", "weight_cosine", "logit_cosine", "radius")


@dataclass(frozen=True)
class MethodResult:
    """A split of one arm among those of all arms at its budget.

    Attributes:
        contender: The split, compared with the first arm's wide network and with the best of all arms.
        from_deep: CNLL minus that of the best deep ensemble, which is the best split of independent networks;
            None for itself, and where there is none.
        facts: How the predictors of a unit differ, by the names of `UnitFacts`, means over the pool; None
            where a unit has one.
        training_flops: Operations to train all units of the split.
    """

    contender: Contender
    from_deep: Interval | None
    facts: dict[str, float | None]
    training_flops: float

    @property
    def result(self) -> SplitResult:
        return self.contender.result

    @property
    def method(self) -> str:
        return self.result.pool.planned.cell.method


@dataclass(frozen=True)
class MethodComparison:
    """The splits of one budget, of every arm of a study with several methods.

    Attributes:
        contenders: These splits.
        rows: What else is known of each, in their order.
        deep: The best deep ensemble; None where no arm trains independent networks.
    """

    contenders: Contenders
    rows: tuple[MethodResult, ...]
    deep: MethodResult | None


def method_comparisons(budgets: Sequence[BudgetResult]) -> tuple[MethodComparison, ...]:
    """Every budget of a study with several methods at which splits of at least two arms are scored."""
    methods = {split.pool.planned.cell.method for one in budgets for split in one.splits}
    if len(methods) < 2:
        return ()
    found = side_by_side(budgets, lambda setting: setting._replace(arm=""))
    return tuple(_comparison(one) for one in found)


def _comparison(one: Contenders) -> MethodComparison:
    deep = [i for i, row in enumerate(one.rows) if _is_deep(row)]
    losses = [row.score.losses for row in one.rows]
    gaps = minus_lowest(losses, deep) if deep else [None] * len(losses)
    rows = tuple(_result(row, gap) for row, gap in zip(one.rows, gaps, strict=True))
    best = next((row for row in rows if _is_deep(row.contender) and row.from_deep is None), None)
    return MethodComparison(one, rows, best)


def _is_deep(row: Contender) -> bool:
    return row.result.pool.planned.cell.method == INDEPENDENT


def _result(row: Contender, gap: Interval | None) -> MethodResult:
    pool, split = row.result.pool, row.result.split
    units = [one.member.unit for one in pool.trained if one.member.unit]
    return MethodResult(
        contender=row,
        from_deep=gap,
        facts={name: _mean(units, name) for name in UNIT_FACTS},
        training_flops=split.members * pool.planned.training_flops,
    )


def _mean(units: Sequence[UnitFacts], name: str) -> float | None:
    found = [value for one in units if (value := getattr(one, name)) is not None]
    return fmean(found) if found else None
