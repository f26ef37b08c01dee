"""How the period scales with learning rate and weight decay."""

from typing import NamedTuple

from ..analysis import Analysis
from ..analysis.periods import PeriodGrid
from ..dynamics.periods import LogSlope
from ._base import Column, Table
from .periods import grid_columns


class SlopeLine(NamedTuple):
    """One slope of a grid."""

    grid: PeriodGrid
    law: LogSlope


def records(analysis: Analysis) -> list[SlopeLine]:
    return [SlopeLine(grid, law) for grid in analysis.grids for law in grid.slopes]


def verdict(line: SlopeLine) -> str:
    low, high = line.law.slope.low or 0.0, line.law.slope.high or 0.0
    return "inside the interval" if low <= line.law.predicted <= high else "outside it"


table = Table(
    "period_laws",
    "How the period scales with learning rate and weight decay",
    (
        *grid_columns(lambda line: line.grid),
        Column("along", "along", get="law.along"),
        Column("slope", "slope", "+.3f", interval=True, get="law.slope"),
        Column("predicted", "theory", "+.0f", get="law.predicted"),
        Column("points", "points", "d", get="law.points"),
        Column("verdict", "theory's -1 is", get=verdict),
    ),
    rules=(
        "Slope of log period against the logarithm, by least squares over the periodic points of the grid;"
        " along learning rate and weight decay in one regression on both. 95% intervals, Student's t.",
        "Theory: without gradients the norm falls as (1 - r d)^t, so a period scales as 1 / (r d).",
    ),
    records=records,
    order=51,
    summary=("arm", "width", "along", "verdict", "slope"),
)
