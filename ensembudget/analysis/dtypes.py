"""Splits in every dtype side by side: at one budget, which is best of all."""

from collections.abc import Sequence

from .side_by_side import Contenders, side_by_side
from .splits import BudgetResult


def dtype_comparisons(budgets: Sequence[BudgetResult]) -> tuple[Contenders, ...]:
    """Every budget at which splits in at least two dtypes are scored.

    Splits of one width are of the same trained members, and count as independent.
    """
    in_dtypes = [one for one in budgets if one.setting.dtype]
    return side_by_side(in_dtypes, lambda setting: setting._replace(dtype=""))
