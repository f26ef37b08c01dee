"""y = c + b / m: what variance that shrinks with the ensemble would give."""

import numpy as np

from ensembudget.arrays import Array
from ensembudget.laws._base import Law


def solve(m: Array, ys: Array, objective: str) -> Array:
    (b, c), *_ = np.linalg.lstsq(np.stack([1 / m, np.ones_like(m)], 1), ys.T, rcond=None)
    return np.stack([np.full(len(ys), -1.0), b, c], 1)


def value(parameters: Array, at: Array) -> Array:
    _, b, c = parameters.T[:, :, None]
    values: Array = c + b / at
    return values


law = Law(solve, value, free=2, objectives=("least_squares",), formula="c + b / m")
