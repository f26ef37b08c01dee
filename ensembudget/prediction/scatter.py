"""How far CNLL lies from its law: a smooth deviation along width, and one of each cell."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from .plane import Plane

REACH = 0.7  # of deviations along width, in ln N: a factor of two is near
CELL_SCALES = np.geomspace(0.002, 0.05, 4)  # tried for a cell's deviation, fractions of the range of CNLL
WIDTH_SCALES = np.geomspace(0.01, 0.2, 4)  # tried for that of a width
USUAL_WIDTH_SCALE = 0.05  # half-normal prior of a width's


class Scatter(NamedTuple):
    """Standard deviations from the law, nats: of one cell by itself, and of a width with its neighbours."""

    cell: float
    width: float


def scatters_of(plane: Plane) -> Iterator[tuple[Scatter, float]]:
    """Every scale that is tried, in nats, with its log prior."""
    scale = float(np.ptp(plane.cnll[:, None]))
    for cell in CELL_SCALES:
        for width in WIDTH_SCALES:
            scatter = Scatter(scale * cell, scale * width)
            yield scatter, -0.5 * (scatter.width / (scale * USUAL_WIDTH_SCALE)) ** 2


def kernel(members: Array, parameters: Array, scatter: Scatter) -> Array:
    """Covariance of deviations between places: of widths near each other, and of a cell with itself."""
    log = np.log(parameters)
    near = np.exp(-0.5 * ((log[:, None] - log) / REACH) ** 2)
    same = (members[:, None] == members) & (parameters[:, None] == parameters)
    found: Array = scatter.width**2 * near + scatter.cell**2 * same
    return found


def split_off(scatter: Scatter, plane: Plane) -> tuple[Scatter, float]:
    """The true deviations, and the standard deviation of the error of measurement.

    Where nobody says how well cells were measured, each cell's own deviation is taken for such an error.
    """
    return (scatter, 0.0) if plane.has_errors else (scatter._replace(cell=0.0), scatter.cell)
