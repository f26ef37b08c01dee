"""How CNLL falls along members, width and budget."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ..arrays import Array
from ..laws._fit import fit_points
from ..records import Fit, Split
from ..scoring.pools import Results
from .plane import PlaneCell


class Along(StrEnum):
    """What a law goes along."""

    MEMBERS = "members"
    WIDTH = "width"
    BUDGET = "budget"


@dataclass(frozen=True)
class LawResult:
    """Points, and the law fitted to them.

    Attributes:
        arm: Whose; "" where there is but one.
        along: What m is.
        at: The width of a law along members, the members of one along width; None along budget.
        m: Ascending, (point,).
        cnll: Nats per sample, (point,).
        fit: The law, or why there is none.
    """

    arm: str
    along: Along
    at: int | None
    m: Array
    cnll: Array
    fit: Fit


def law_results(results: Results, cells: Sequence[PlaneCell]) -> tuple[LawResult, ...]:
    """Along members at each width, along width at each n of the study, along budget at its best n.

    Args:
        results: A study's.
        cells: Its plane.
    """
    return tuple(
        law
        for arm in results.plan.arms
        for law in _of_arm(arm, [cell for cell in cells if cell.arm == arm], results)
    )


def _of_arm(arm: str, cells: Sequence[PlaneCell], results: Results) -> Iterator[LawResult]:
    for width in [planned.cell.width for planned in results.plan.cells if planned.arm == arm]:
        column = [cell for cell in cells if cell.width == width]
        yield _law(arm, Along.MEMBERS, width, [(cell.members, cell.cnll) for cell in column])
    for size in results.plan.study.members:
        column = [cell for cell in cells if cell.members == size]
        if len(column) > 1:
            yield _law(arm, Along.WIDTH, size, [(cell.width, cell.cnll) for cell in column])
    best = _best_of_budgets([split for split in results.plan.splits if split.arm == arm], cells)
    if len(best) > 1:
        yield _law(arm, Along.BUDGET, None, best)


def _law(arm: str, along: Along, at: int | None, points: Sequence[tuple[int, float]]) -> LawResult:
    m, cnll = (np.array([float(point[i]) for point in points]) for i in (0, 1))
    return LawResult(arm, along, at, m, cnll, fit_points(m, cnll))


def _best_of_budgets(splits: Sequence[Split], cells: Sequence[PlaneCell]) -> list[tuple[int, float]]:
    """The lowest CNLL of each budget."""
    measured = {(cell.members, cell.width): cell.cnll for cell in cells}
    found: dict[int, float] = {}
    for split in splits:
        value = measured.get((split.members, split.width))
        if value is not None:
            found[split.budget] = min(value, found.get(split.budget, value))
    return list(found.items())
