"""What a claim reads from rows: a value with its interval, or the reason why there is none."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import beta, chi2, linregress, t

from ensembudget.arrays import Array
from ensembudget.tables._base import Row

from .records import Claim
from .selecting import UnreadableError, select

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2
ONE_SETTING = "the table has one setting, and two are compared"
ENOUGH = 4  # pairs of ensembles of which a doubling is judged


class Measured(NamedTuple):
    """A value, and the ends of its interval or the reason why it has none."""

    value: float
    low: float | None = None
    high: float | None = None
    reason: str = ""


Read = Callable[[Sequence[Row], Claim], Measured]


class Statistic(NamedTuple):
    """How a quantity is read, and what its interval is."""

    read: Read
    interval: str


def number(row: Row, column: str) -> float:
    """A number of a row.

    Raises:
        UnreadableError: There is no such column, or no number in it.
    """
    if column not in row:
        raise UnreadableError(f"the table has no column {column!r}")
    value = row[column]
    if value is None or isinstance(value, str):
        status = row.get("status")
        raise UnreadableError(
            str(status) if status not in (None, "ok") else f"the table has no {column} there"
        )
    return float(value)


def value(rows: Sequence[Row], claim: Claim) -> Measured:
    """One row's number, with the interval that its table gives."""
    if len(rows) != 1:
        raise UnreadableError(f"{len(rows)} rows of the table are meant, where one was expected")
    return _quantity(rows[0], claim)


def _quantity(row: Row, claim: Claim) -> Measured:
    """What one row says of the claim's column, over another column where the claim names one."""
    scale = number(row, claim.over) if claim.over else 1.0
    found = number(row, claim.column) / scale
    low, high = row.get(f"{claim.column}_low"), row.get(f"{claim.column}_high")
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return Measured(found, reason=str(row.get("no_interval") or "the table gives no interval there"))
    return Measured(found, low / scale, high / scale)


def lowest(rows: Sequence[Row], claim: Claim) -> Measured:
    """The lowest of rows whose intervals hold together, as those of one budget do."""
    found = [_quantity(row, claim) for row in rows]
    middle = min(one.value for one in found)
    if reasons := [one.reason for one in found if one.reason]:
        return Measured(middle, reason=reasons[0])
    return Measured(middle, min(one.low for one in found), min(one.high for one in found))


def mean(rows: Sequence[Row], claim: Claim) -> Measured:
    """The mean of independent rows: distances to the ends add in squares (Zou and Donner 2008)."""
    found = [_quantity(row, claim) for row in rows]
    middle = float(np.mean([one.value for one in found]))
    if reasons := [one.reason for one in found if one.reason]:
        return Measured(middle, reason=reasons[0])
    below, above = (
        math.hypot(*(one.value - end for one, end in zip(found, ends, strict=True))) / len(found)
        for ends in ([one.low for one in found], [one.high for one in found])
    )
    return Measured(middle, middle - below, middle + above)


def difference(rows: Sequence[Row], claim: Claim) -> Measured:
    """One side minus the other. Half-widths add, which no dependence of the two can exceed."""
    return _compared(_sides(rows, claim, value), operator.sub)


def lowest_difference(rows: Sequence[Row], claim: Claim) -> Measured:
    """One side's lowest row minus the other's, as `lowest` and `difference`."""
    return _compared(_sides(rows, claim, lowest), operator.sub)


def ratio(rows: Sequence[Row], claim: Claim) -> Measured:
    """One side over the other, both above zero, with the ratios of opposite ends."""
    return _compared(_sides(rows, claim, value), operator.truediv)


def _sides(rows: Sequence[Row], claim: Claim, read: Read) -> tuple[Measured, Measured]:
    first, second = select(rows, claim.first), select(rows, claim.second)
    if first == second:
        raise UnreadableError(ONE_SETTING)
    return read(first, claim), read(second, claim)


def _compared(sides: tuple[Measured, Measured], compare: Callable[[float, float], float]) -> Measured:
    one, other = sides
    found = compare(one.value, other.value)
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return Measured(found, reason=one.reason or other.reason)
    return Measured(found, compare(one.low, other.high), compare(one.high, other.low))


def sample_mean(rows: Sequence[Row], claim: Claim) -> Measured:
    """The mean of rows that are a sample, with Student's interval."""
    return student(np.array([number(row, claim.column) for row in rows]))


def student(sample: Array, tail: float = TAIL) -> Measured:
    """The mean of a sample, with Student's interval that leaves out `tail` on each side."""
    count, middle = len(sample), float(np.mean(sample))
    if count < 2:
        return Measured(middle, reason=f"a sample of {count} does not show how it varies")
    reach = float(t.isf(tail, count - 1) * np.std(sample, ddof=1) / math.sqrt(count))
    return Measured(middle, middle - reach, middle + reach)


def rms(rows: Sequence[Row], claim: Claim) -> Measured:
    """Root mean square over rows that are independent and normal about zero."""
    errors = [_quantity(row, claim).value for row in rows]
    total, count = float(np.sum(np.square(errors))), len(errors)
    low, high = (math.sqrt(total / chi2.isf(tail, count)) for tail in (TAIL, 1 - TAIL))
    return Measured(math.sqrt(total / count), low, high)


def share(rows: Sequence[Row], claim: Claim) -> Measured:
    """The share of rows in which a column says so, with Clopper and Pearson's interval."""
    if not all(claim.column in row for row in rows):
        raise UnreadableError(f"the table has no column {claim.column!r}")
    count, found = len(rows), sum(row[claim.column] == claim.equals for row in rows)
    low = float(beta.ppf(TAIL, found, count - found + 1)) if found else 0.0
    high = float(beta.isf(TAIL, found + 1, count - found)) if found < count else 1.0
    return Measured(found / count, low, high)


def octaves(rows: Sequence[Row], claim: Claim) -> Measured:
    """Log2 of the best n at the largest value of a column over that at the smallest.

    Each best n has an interval from how often a split is lowest in draws of all errors; together these hold
    in 95% of cases. There is none where fewer n were offered at the smallest, and the best may be the last.
    """
    few = select(rows, {claim.column: "smallest"})
    many = select(rows, {claim.column: "largest"})
    if few == many:
        raise UnreadableError(ONE_SETTING)
    (low_few, best_few, high_few), (low_many, best_many, high_many) = map(_best_n, (few, many))
    found = math.log2(best_many / best_few)
    offered = max(number(row, "members") for row in few)
    if offered < max(number(row, "members") for row in many) and high_few == offered:
        return Measured(
            found,
            reason=f"no n above {offered:g} was offered at the smallest {claim.column}, where n = {offered:g}"
            " is, or may be, the best: the growth may be that of the grid",
        )
    return Measured(found, math.log2(low_many / high_few), math.log2(high_many / low_few))


def _best_n(rows: Sequence[Row]) -> tuple[float, float, float]:
    """The n that is best most often, between the ends of an interval of 97.5%."""
    ordered = sorted(rows, key=lambda row: number(row, "members"))
    members = [number(row, "members") for row in ordered]
    drawn = np.cumsum([number(row, "frequency_best") for row in ordered])
    low, high = (members[int(np.searchsorted(drawn, q))] for q in (TAIL / 2, 1 - TAIL / 2 - 1e-9))
    return low, max(ordered, key=lambda row: number(row, "frequency_best"))["members"], high  # type: ignore[return-value]


def welch(rows: Sequence[Row], claim: Claim) -> Measured:
    """Mean of disjoint ensembles minus that of others, with Welch's interval over them."""
    sides = [
        np.array([number(row, claim.column) for row in select(rows, where)])
        for where in (claim.first, claim.second)
    ]
    found = float(np.mean(sides[0]) - np.mean(sides[1]))
    if (fewest := min(map(len, sides))) < 2:
        return Measured(found, reason=f"{fewest} disjoint ensemble does not show how ensembles vary")
    parts = [float(np.var(side, ddof=1)) / len(side) for side in sides]
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(side) - 1) for part, side in zip(parts, sides, strict=True)
    )
    reach = float(t.isf(TAIL, freedom)) * math.sqrt(sum(parts))
    return Measured(found, found - reach, found + reach)


def doublings(rows: Sequence[Row], claim: Claim) -> Measured:
    """What twice the members change, in the pool and at the n where that is the most.

    An ensemble of 2n holds the members of two of n, so that differences are paired. Its upper end needs no
    correction for how many are compared (all must be below it), its lower end has Bonferroni's.
    """
    scored = {(row["cell"], row["members"], row["replicate"]): number(row, claim.column) for row in rows}
    changes: dict[tuple[object, int], list[float]] = {}
    for (cell, size, place), after in scored.items():
        assert isinstance(size, int)
        assert isinstance(place, int)
        half = size // 2
        if size == 2 * half and half.bit_count() == 1:
            before = (scored[cell, half, 2 * place] + scored[cell, half, 2 * place + 1]) / 2
            changes.setdefault((cell, half), []).append(after - before)
    judged = [np.array(some) for some in changes.values() if len(some) >= ENOUGH]
    if not judged:
        raise UnreadableError(f"no pool has {ENOUGH} disjoint ensembles of two or more")
    found = [student(some) for some in judged]
    together = [student(some, TAIL / len(judged)) for some in judged]
    return Measured(
        max(one.value for one in found), max(one.low for one in together), max(one.high for one in found)
    )


def improvement(rows: Sequence[Row], claim: Claim) -> Measured:
    """Slope over pools: by how much four members lower the error, against disagreement over error."""
    pools: dict[object, list[Row]] = {}
    for row in rows:
        pools.setdefault(row["cell"], []).append(row)
    points = [_improved(pool, claim.column) for pool in pools.values()]
    if len(points) < 3:
        raise UnreadableError(f"{len(points)} pools do not show a slope")
    x, y = np.array(points).T
    line = linregress(x, y)
    reach = float(t.isf(TAIL, len(points) - 2) * line.stderr)
    return Measured(float(line.slope), float(line.slope) - reach, float(line.slope) + reach)


def _improved(pool: Sequence[Row], accuracy: str) -> tuple[float, float]:
    """Disagreement over error of single members, and by how much four have less of it."""
    single, four = (select(pool, {"members": size}) for size in (1, 4))
    error, averaged = (1 - float(np.mean([number(row, accuracy) for row in some])) for some in (single, four))
    disagreement = float(np.mean([number(row, "disagreement") for row in four]))
    return disagreement / error, 1 - averaged / error


STATISTICS = {
    "value": Statistic(value, "95%, of its table"),
    "lowest": Statistic(lowest, "95%, all n of the budget together"),
    "difference": Statistic(difference, "95% each, half-widths added"),
    "lowest_difference": Statistic(lowest_difference, "95%, all n of a budget together, half-widths added"),
    "ratio": Statistic(ratio, "ratios of opposite ends"),
    "mean": Statistic(mean, "95% over fresh members, pools independent, at these test samples"),
    "sample_mean": Statistic(sample_mean, "95%, Student's over rows"),
    "rms": Statistic(rms, "95%, chi-squared over rows"),
    "share": Statistic(share, "95%, Clopper and Pearson's"),
    "octaves": Statistic(octaves, "95%, from draws of all errors"),
    "welch": Statistic(welch, "95%, Welch's over disjoint ensembles at these test samples"),
    "doublings": Statistic(doublings, "95%, Student's over pairs of ensembles at these test samples"),
    "improvement": Statistic(improvement, "95%, Student's over pools"),
}
