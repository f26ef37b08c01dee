"""Between which effective learning rates one regime gives way to the next."""

from typing import NamedTuple

from ..analysis import Analysis
from ..analysis.regimes import Sweep
from ..dynamics.regimes import Boundary
from ._base import Column, Table
from .regimes import sweep_columns


class BoundaryLine(NamedTuple):
    """One boundary of a sweep."""

    sweep: Sweep
    boundary: Boundary


def records(analysis: Analysis) -> list[BoundaryLine]:
    return [BoundaryLine(sweep, boundary) for sweep in analysis.sweeps for boundary in sweep.boundaries]


table = Table(
    "regime_boundaries",
    "Boundaries between the regimes",
    (
        *sweep_columns(lambda line: line.sweep),
        Column("between", "between", get="boundary.between"),
        Column(
            "effective_learning_rate",
            "effective learning rate",
            ".3g",
            interval=True,
            get="boundary.rate",
        ),
        Column("status", "status", get="boundary.status"),
    ),
    rules=(
        "Brackets: from the largest rate at which all runs are below a boundary, with none above it at a"
        " smaller rate, to the smallest at which all are above it, with none below it at a larger rate. The"
        " value is the geometric mean of the two rates between which most runs change sides.",
        "A run that is still falling or undecided is on neither side of the boundary between convergence and"
        " equilibrium: it widens the interval, and is never taken for one of the two.",
    ),
    records=records,
    order=41,
)
