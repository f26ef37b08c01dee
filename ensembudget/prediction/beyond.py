"""How CNLL may drift from the law beyond the widest width, learnt by holding out the widest.

No form knows whether width begins to hurt, or stops helping, one step further on. So beyond the widest width
CNLL may drift from the law, by so much a step. How much is learnt where it can be: the widest column is held
out, the law is fitted to the rest, and its error is one observation of such a drift.
"""

from typing import NamedTuple

import numpy as np

from ..arrays import Array
from .plane import Plane

DRIFTS = np.geomspace(0.01, 0.16, 5)  # standard deviation of the drift a step, fractions of the range of CNLL
USUAL_DRIFT = 0.05  # half-normal prior of it
GAIN_DRIFT = 0.5  # what ensembling gains drifts by itself, by this fraction of it
MEMBERS_DRIFT = 0.01  # a doubling of n beyond the largest, fraction of the range


class Beyond(NamedTuple):
    """How far CNLL may drift from its law a step of width beyond the widest.

    Attributes:
        scales: Standard deviations that are tried, nats.
        weights: Of the scales.
        far: How far the widest column, held out, lies from where the others expect it, over the error that is
            expected of it, root mean square over its cells; None where it was not held out.
    """

    scales: Array
    weights: Array
    far: float | None = None

    @property
    def typical(self) -> float:
        """Root mean square, nats."""
        return float((self.weights @ self.scales**2) ** 0.5)


NOTHING = Beyond(np.zeros(1), np.ones(1))


class Steps(NamedTuple):
    """How far places lie beyond a plane, (place,): in steps as between its two widest, in doublings."""

    width: Array
    members: Array


def steps_beyond(plane: Plane, members: Array, parameters: Array) -> Steps:
    """How far places lie beyond what was measured; zero within."""
    two, one = (curve.parameters for curve in plane.curves[-2:])
    width = np.log(parameters / one) / np.log(one / two)
    doublings = np.log2(members / plane.members.max())
    return Steps(np.maximum(width, 0), np.maximum(doublings, 0))


def prior_of(plane: Plane) -> Beyond:
    """The prior of the drift, before a column is held out."""
    weights = DRIFTS * np.exp(-0.5 * (DRIFTS / USUAL_DRIFT) ** 2)  # the grid is logarithmic
    return Beyond(_range(plane) * DRIFTS, weights / weights.sum())


def learnt(prior: Beyond, members: Array, error: Array, covariance: Array) -> Beyond:
    """The posterior of the drift, after the column one step beyond the rest was held out.

    Args:
        prior: Of the drift.
        members: Of the column, (cell,).
        error: Measured minus predicted, (cell,).
        covariance: Of the error where nothing drifts, (cell, cell).
    """
    logs = []
    shape = 1 + GAIN_DRIFT**2 * np.outer(_gain(members), _gain(members))
    for scale in prior.scales:
        whole = covariance + scale**2 * shape
        logs.append(-0.5 * (np.linalg.slogdet(whole)[1] + error @ np.linalg.solve(whole, error)))
    weights = prior.weights * np.exp(np.array(logs) - max(logs))
    usual = np.diag(covariance + prior.typical**2 * shape)
    return Beyond(prior.scales, weights / weights.sum(), float(np.sqrt((error**2 / usual).mean())))


def drifted(plane: Plane, beyond: Beyond, members: Array, parameters: Array, normal: Array) -> Array:
    """Drifts of some places, (place, draw), from standard normals, (4, draw)."""
    steps, count = steps_beyond(plane, members, parameters), normal.shape[1]
    # The first normal picks the scale: its order is as good as a uniform's.
    ranks = (np.argsort(np.argsort(normal[0])) + 0.5) / count
    index = np.searchsorted(np.cumsum(beyond.weights)[:-1], ranks)
    scale = beyond.scales[index]
    along_width = scale * (normal[1] + GAIN_DRIFT * _gain(members)[:, None] * normal[2])
    along_members = MEMBERS_DRIFT * _range(plane) * normal[3]
    found: Array = steps.width[:, None] * along_width + steps.members[:, None] * along_members
    return found


def _gain(members: Array) -> Array:
    """How much of what ensembling gains an ensemble has: none alone, all of it in the limit."""
    found: Array = 1 - members**-0.75
    return found


def _range(plane: Plane) -> float:
    return float(np.ptp(plane.cnll))
