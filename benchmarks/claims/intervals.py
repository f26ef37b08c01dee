"""Statistics of rows that have intervals of their own."""

import math
import operator
from collections.abc import Callable, Sequence

import numpy as np

from ensembudget.tables._base import Row

from .measured import TAIL, Ends, Measured, number, reason
from .records import Claim
from .selecting import UnreadableError, select

ONE_SETTING = "the table has one setting, and two are compared"


def value(rows: Sequence[Row], claim: Claim) -> Measured:
    """One row's number, with the interval that its table gives."""
    if len(rows) != 1:
        raise UnreadableError(f"{len(rows)} rows of the table are meant, where one was expected")
    return _of_row(rows[0], claim)


def _of_row(row: Row, claim: Claim) -> Measured:
    """The claim's column, over another column where the claim names one."""
    scale = number(row, claim.over) if claim.over else 1.0
    found = number(row, claim.column) / scale
    low, high = row.get(f"{claim.column}_low"), row.get(f"{claim.column}_high")
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return Measured(found, reason=reason(row, "the table gives no interval there"))
    return Measured(found, Ends(low / scale, high / scale))


def lowest(rows: Sequence[Row], claim: Claim) -> Measured:
    """The lowest of rows whose intervals hold together, as those of one budget do."""
    found = [_of_row(row, claim) for row in rows]
    middle, ends = min(one.value for one in found), _all_ends(found)
    if ends is None:
        return Measured(middle, reason=_first_reason(found))
    return Measured(middle, Ends(*map(min, zip(*ends, strict=True))))


def mean(rows: Sequence[Row], claim: Claim) -> Measured:
    """The mean of independent rows: distances to the ends add in squares (Zou and Donner 2008)."""
    found = [_of_row(row, claim) for row in rows]
    values, ends = np.array([one.value for one in found]), _all_ends(found)
    middle = float(np.mean(values))
    if ends is None:
        return Measured(middle, reason=_first_reason(found))
    below, above = np.linalg.norm(np.array(ends).T - values, axis=1) / len(values)
    return Measured(middle, Ends(middle - float(below), middle + float(above)))


def difference(rows: Sequence[Row], claim: Claim) -> Measured:
    """One side minus the other. Half-widths add, which no dependence of the two can exceed."""
    return _compared(_sides(rows, claim, value), operator.sub)


def lowest_difference(rows: Sequence[Row], claim: Claim) -> Measured:
    """One side's lowest row minus the other's, as `lowest` and `difference`."""
    return _compared(_sides(rows, claim, lowest), operator.sub)


def ratio(rows: Sequence[Row], claim: Claim) -> Measured:
    """One side over the other, both above zero, with the ratios of opposite ends."""
    return _compared(_sides(rows, claim, value), operator.truediv)


def _sides(
    rows: Sequence[Row], claim: Claim, read: Callable[[Sequence[Row], Claim], Measured]
) -> list[Measured]:
    first, second = select(rows, claim.first), select(rows, claim.second)
    if first == second:
        raise UnreadableError(ONE_SETTING)
    return [read(first, claim), read(second, claim)]


def _compared(sides: Sequence[Measured], compare: Callable[[float, float], float]) -> Measured:
    found, ends = compare(*(one.value for one in sides)), _all_ends(sides)
    if ends is None:
        return Measured(found, reason=_first_reason(sides))
    one, other = ends
    return Measured(found, Ends(compare(one.low, other.high), compare(one.high, other.low)))


def _all_ends(found: Sequence[Measured]) -> list[Ends] | None:
    ends = [one.ends for one in found if one.ends is not None]
    return ends if len(ends) == len(found) else None


def _first_reason(found: Sequence[Measured]) -> str:
    return next(one.reason for one in found if one.reason)


def octaves(rows: Sequence[Row], claim: Claim) -> Measured:
    """Log2 of the best n at the largest value of a column over that at the smallest.

    Each best n has an interval from how often a split is lowest in draws of all errors; together these hold
    in 95% of cases. There is none where fewer n were offered at the smallest, and the best may be the last.
    """
    few = select(rows, {claim.column: "smallest"})
    many = select(rows, {claim.column: "largest"})
    if few == many:
        raise UnreadableError(ONE_SETTING)
    (best_few, ends_few), (best_many, ends_many) = _best_n(few), _best_n(many)
    found = math.log2(best_many / best_few)
    offered = max(number(row, "members") for row in few)
    if offered < max(number(row, "members") for row in many) and ends_few.high == offered:
        return Measured(
            found,
            reason=f"at the smallest {claim.column} no n above {offered:g} was offered, and n = {offered:g}"
            " is, or may be, the best: the growth may be the grid's",
        )
    return Measured(
        found, Ends(math.log2(ends_many.low / ends_few.high), math.log2(ends_many.high / ends_few.low))
    )


def _best_n(rows: Sequence[Row]) -> tuple[float, Ends]:
    """The n that is best most often, and an interval of 97.5%."""
    shares = sorted((number(row, "members"), number(row, "frequency_best")) for row in rows)
    members, drawn = np.array(shares).T
    up_to = np.cumsum(drawn) / np.sum(drawn)
    low = members[np.argmax(up_to > TAIL / 2)]
    high = members[np.argmax(up_to >= 1 - TAIL / 2)]
    return float(members[np.argmax(drawn)]), Ends(float(low), float(high))
