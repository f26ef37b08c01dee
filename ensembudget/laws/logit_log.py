"""y / (1 - y) = b m^a: odds that fall as a power law, a straight line of logit y in ln m.

For a y between 0 and 1: an error, or a loss as a share of what a constant answer has. It flattens at both
ends: a model that has learnt nothing stays at 1, and none falls below 0.
"""

import numpy as np

from ..arrays import Array
from ._base import Law
from ._line import factor_solver, refused

_MOST = 1 - 1e-9  # what a drawn y is at most


def logit(y: Array) -> Array:
    below = np.minimum(y, _MOST)
    found: Array = np.log(below / (1 - below))
    return found


def value(parameters: Array, at: Array) -> Array:
    a, b, _ = parameters.T[:, :, None]
    odds = b * np.asarray(at, np.float64) ** a
    values: Array = odds / (1 + odds)
    return values


law = Law(
    factor_solver(logit),
    value,
    free=2,
    objectives=("least_squares",),
    formula="y / (1 - y) = b m^a",
    refused=refused,
    parameters="ab",
    straight=logit,
    share=True,
)
