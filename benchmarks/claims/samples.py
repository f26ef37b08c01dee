"""Statistics of rows that are a sample: pools, ensembles, settings."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import beta, chi2, linregress, t

from ensembudget.arrays import Array
from ensembudget.tables._base import Row

from .measured import TAIL, Ends, Measured, number
from .records import Claim
from .selecting import UnreadableError, select

ENOUGH = 4  # pairs of ensembles of which a doubling is judged


def sample_mean(rows: Sequence[Row], claim: Claim) -> Measured:
    """The mean of rows, with Student's interval."""
    sample = np.array([number(row, claim.column) for row in rows])
    if len(sample) < 2:
        return Measured(float(sample[0]), reason="one row does not show how rows vary")
    return Measured(float(np.mean(sample)), student(sample))


def student(sample: Array, tail: float = TAIL) -> Ends:
    """Student's interval of a mean that leaves out `tail` on each side; of two numbers at least."""
    middle = float(np.mean(sample))
    reach = float(t.isf(tail, len(sample) - 1) * np.std(sample, ddof=1) / math.sqrt(len(sample)))
    return Ends(middle - reach, middle + reach)


def rms(rows: Sequence[Row], claim: Claim) -> Measured:
    """Root mean square over rows that are independent and normal about zero."""
    errors = [number(row, claim.column) / (number(row, claim.over) if claim.over else 1.0) for row in rows]
    total, count = float(np.sum(np.square(errors))), len(errors)
    low, high = (math.sqrt(total / chi2.isf(tail, count)) for tail in (TAIL, 1 - TAIL))
    return Measured(math.sqrt(total / count), Ends(low, high))


def share(rows: Sequence[Row], claim: Claim) -> Measured:
    """The share of rows in which a column says so, with Clopper and Pearson's interval."""
    if not all(claim.column in row for row in rows):
        raise UnreadableError(f"the table has no column {claim.column!r}")
    count, found = len(rows), sum(row[claim.column] == claim.equals for row in rows)
    low = float(beta.ppf(TAIL, found, count - found + 1)) if found else 0.0
    high = float(beta.isf(TAIL, found + 1, count - found)) if found < count else 1.0
    return Measured(found / count, Ends(low, high))


def welch(rows: Sequence[Row], claim: Claim) -> Measured:
    """Mean of disjoint ensembles minus that of others, with Welch's interval over them."""
    sides = [
        np.array([number(row, claim.column) for row in select(rows, where)])
        for where in (claim.first, claim.second)
    ]
    found = float(np.mean(sides[0]) - np.mean(sides[1]))
    if min(map(len, sides)) < 2:
        return Measured(found, reason="one disjoint ensemble does not show how ensembles vary")
    parts = [float(np.var(side, ddof=1)) / len(side) for side in sides]
    spread = sum(part**2 / (len(side) - 1) for part, side in zip(parts, sides, strict=True))
    reach = float(t.isf(TAIL, sum(parts) ** 2 / spread)) * math.sqrt(sum(parts))
    return Measured(found, Ends(found - reach, found + reach))


def doublings(rows: Sequence[Row], claim: Claim) -> Measured:
    """What twice the members change, in the pool and at the n where that is the most.

    An ensemble of 2n holds the members of two of n, so that differences are paired. The upper end needs no
    correction for how many are compared, for all must lie below it; the lower end has Bonferroni's.
    """
    scored = {(row["cell"], row["members"], row["replicate"]): number(row, claim.column) for row in rows}
    changes: dict[tuple[object, int], list[float]] = {}
    for (cell, size, place), after in scored.items():
        assert isinstance(size, int)
        assert isinstance(place, int)
        if size > 1 and size.bit_count() == 1:  # a power of two
            halves = [scored[cell, size // 2, 2 * place + side] for side in (0, 1)]
            changes.setdefault((cell, size), []).append(after - sum(halves) / 2)
    judged = [np.array(some) for some in changes.values() if len(some) >= ENOUGH]
    if not judged:
        raise UnreadableError(f"no pool has {ENOUGH} disjoint ensembles of two or more")
    low = max(student(some, TAIL / len(judged)).low for some in judged)
    high = max(student(some).high for some in judged)
    return Measured(max(float(np.mean(some)) for some in judged), Ends(low, high))


def improvement(rows: Sequence[Row], claim: Claim) -> Measured:
    """Slope over pools: by how much four members lower the error, against disagreement over error."""
    pools: dict[object, list[Row]] = {}
    for row in rows:
        pools.setdefault(row["cell"], []).append(row)
    points = [_improved(pool, claim.column) for pool in pools.values()]
    if len(points) < 3:
        raise UnreadableError(f"{len(points)} pools do not show a slope")
    line = linregress(*np.array(points).T)
    reach = float(t.isf(TAIL, len(points) - 2) * line.stderr)
    return Measured(float(line.slope), Ends(float(line.slope) - reach, float(line.slope) + reach))


def _improved(pool: Sequence[Row], accuracy: str) -> tuple[float, float]:
    """Disagreement over error of single members, and the share of the error that four do not make."""
    single, four = (select(pool, {"members": size}) for size in (1, 4))
    error, averaged = (1 - float(np.mean([number(row, accuracy) for row in some])) for some in (single, four))
    disagreement = float(np.mean([number(row, "disagreement") for row in four]))
    return disagreement / error, 1 - averaged / error
