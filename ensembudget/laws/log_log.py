"""y = b m^a: a power law that falls to zero, a straight line of ln y in ln m."""

import numpy as np

from ..arrays import Array
from ._base import Law
from ._line import factor_solver, refused


def value(parameters: Array, at: Array) -> Array:
    a, b, _ = parameters.T[:, :, None]
    values: Array = b * np.asarray(at, np.float64) ** a
    return values


law = Law(
    factor_solver(np.log),
    value,
    free=2,
    objectives=("least_squares",),
    formula="b m^a",
    refused=refused,
    parameters="ab",
    straight=np.log,
)
