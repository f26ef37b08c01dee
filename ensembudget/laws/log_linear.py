"""y = c + a ln m: a straight line of y in ln m. It falls below zero in the end."""

import numpy as np

from ..arrays import Array
from ._base import Law
from ._line import line, refused


def solve(m: Array, ys: Array, objective: str) -> Array:
    slope, intercept = line(m, ys)
    return np.stack([slope, np.zeros(len(ys)), intercept], 1)


def value(parameters: Array, at: Array) -> Array:
    a, _, c = parameters.T[:, :, None]
    values: Array = c + a * np.log(np.asarray(at, np.float64))
    return values


law = Law(
    solve,
    value,
    free=2,
    objectives=("least_squares",),
    formula="c + a ln m",
    refused=refused,
    parameters="ac",
    straight=lambda y: y,
)
