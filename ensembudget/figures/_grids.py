"""What the figures of grids share: the points that have a history, and their titles."""

from typing import NamedTuple

from ..analysis import Analysis
from ..analysis.histories import History
from ..analysis.periods import PeriodGrid, PeriodPoint
from ._recorded import titles


class GridRun(NamedTuple):
    """The first run at one pair of learning rate and weight decay."""

    title: str
    grid: PeriodGrid
    point: PeriodPoint
    history: History


def drawn_grids(analysis: Analysis) -> list[list[GridRun]]:
    """Every grid's runs by ascending product; grids without a history are left out."""
    found = [_runs(title, one) for title, one in zip(titles(analysis.grids), analysis.grids, strict=True)]
    return [runs for runs in found if runs]


def _runs(title: str, grid: PeriodGrid) -> list[GridRun]:
    there = [(one, one.history) for one in grid.by_product if one.history]
    return [GridRun(_title(title, one), grid, one, history) for one, history in there]


def _title(title: str, point: PeriodPoint) -> str:
    """The grid's title, where it has one, above what the point is."""
    own = f"learning rate {point.learning_rate:g}, weight decay {point.weight_decay:g}"
    return f"{title}\n{own}" if title else own
