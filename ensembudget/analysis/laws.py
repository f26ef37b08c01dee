"""How CNLL falls along members, width, budget and data size."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ..arrays import Array
from ..laws._base import Points
from ..laws._fit import fit_points
from ..records import Fit, Setting, Split
from ..scoring.covariance import PoolNoise
from ..scoring.pools import Results
from ..scoring.sizes import spaced
from .plane import MeasuredPlane, PlaneCell

LEAST_SPACED = 4  # a law has three parameters; a pool of five has but three spaced sizes


class Along(StrEnum):
    """What a law goes along."""

    MEMBERS = "members"
    WIDTH = "width"
    BUDGET = "budget"
    TRAIN_SIZE = "train_size"


@dataclass(frozen=True)
class LawResult:
    """Points, and the law fitted to them.

    Attributes:
        setting: Whose; without a data size along data size.
        along: What m is.
        at: What is held fixed: the width of a law along members, the members of one along width, both along
            data size, nothing along budget.
        points: m and CNLL in nats per sample, with the covariance of the latter over fresh members.
        fit: The law, or why there is none.
    """

    setting: Setting
    along: Along
    at: tuple[int, ...]
    points: Points
    fit: Fit


def law_results(results: Results, plane: MeasuredPlane) -> tuple[LawResult, ...]:
    """Along members, width, budget and data size, at each width and each n of the study.

    Sizes of one pool share its members, and have a covariance; other pools have members of their own. Along
    members a law is fitted to sizes at least a factor of 1.4 apart, for those between use the same members;
    to all sizes of a pool that has too few such.

    Args:
        results: A study's.
        plane: What was measured.
    """
    found = [law for setting in results.plan.settings for law in _of_setting(setting, plane, results)]
    return (*found, *_along_sizes(plane, results.plan.study.members))


def _of_setting(setting: Setting, plane: MeasuredPlane, results: Results) -> Iterator[LawResult]:
    cells = [cell for cell in plane.cells if cell.setting == setting]
    for width in [planned.cell.width for planned in results.plan.cells if planned.setting == setting]:
        column = {cell.members: cell for cell in cells if cell.width == width}
        yield _law(setting, Along.MEMBERS, (width,), [(size, column[size]) for size in _sizes(column)], plane)
    for size in results.plan.study.members:
        row = [(cell.width, cell) for cell in cells if cell.members == size]
        if len(row) > 1:
            yield _law(setting, Along.WIDTH, (size,), row, plane)
    best = _best_of_budgets([split for split in results.plan.splits if split.setting == setting], cells)
    if len(best) > 1:
        yield _law(setting, Along.BUDGET, (), best, plane)


def _along_sizes(plane: MeasuredPlane, members: Sequence[int]) -> Iterator[LawResult]:
    """At each width and n that was measured at several data sizes."""
    lines: dict[tuple[Setting, int, int], list[tuple[int, PlaneCell]]] = {}
    for cell in plane.cells:
        size = cell.setting.train_size
        if size is not None and cell.members in members:
            line = lines.setdefault((cell.setting._replace(train_size=None), cell.width, cell.members), [])
            line.append((size, cell))
    for (setting, width, n), some in lines.items():
        if len(some) > 1:
            yield _law(setting, Along.TRAIN_SIZE, (width, n), some, plane)


def _sizes(column: Collection[int]) -> Collection[int]:
    """The sizes of a pool that a law is fitted to: spaced ones where they are enough."""
    some = spaced(column) if column else []
    return some if len(some) >= LEAST_SPACED else sorted(column)


def _law(
    setting: Setting,
    along: Along,
    at: tuple[int, ...],
    some: Sequence[tuple[int, PlaneCell]],
    plane: MeasuredPlane,
) -> LawResult:
    some = sorted(some, key=lambda one: one[0])
    m = np.array([float(one) for one, _ in some])
    y = np.array([cell.cnll for _, cell in some])
    covariance, freedom = _noise([cell for _, cell in some], plane.noises)
    points = Points(m, y, covariance, freedom)
    fit = fit_points(m, y, covariance=covariance, freedom=freedom)
    return LawResult(setting, along, at, points, fit)


def _noise(
    cells: Sequence[PlaneCell], noises: dict[tuple[Setting, int], PoolNoise]
) -> tuple[Array | None, float | None]:
    """Covariance of some cells, and the fewest degrees of freedom of any; None where one is not known."""
    its = [noises[cell.setting, cell.width] for cell in cells]
    if not its or not all(noise.freedom for noise in its):
        return None, None
    found = np.zeros((len(cells), len(cells)))
    pools = [(cell.setting, cell.width) for cell in cells]
    for pool in set(pools):
        rows = [i for i, one in enumerate(pools) if one == pool]
        found[np.ix_(rows, rows)] = its[rows[0]].covariance([cells[i].members for i in rows])
    return found, min(noise.freedom for noise in its)


def _best_of_budgets(splits: Sequence[Split], cells: Sequence[PlaneCell]) -> list[tuple[int, PlaneCell]]:
    """The cell with the lowest CNLL of each budget."""
    measured = {(cell.members, cell.width): cell for cell in cells}
    found: dict[int, PlaneCell] = {}
    for split in splits:
        cell = measured.get((split.members, split.width))
        if cell is not None and (split.budget not in found or cell.cnll < found[split.budget].cnll):
            found[split.budget] = cell
    return list(found.items())
