"""The predicted splits of a budget."""

from pydantic import PositiveInt

from ._base import Record
from .interval import Interval


class Extrapolation(Record):
    """How many times a split lies beyond the largest value measured; 1 is within."""

    width: float
    members: float
    budget: float


class PredictedSplit(Record):
    """A split that need not have been trained; intervals are 90%, absent where the plane has no errors.

    `gain` is the wide network's CNLL minus this one's, nats per sample; `probability_best` of the budget, or
    None where there are no intervals.
    """

    members: PositiveInt
    width: PositiveInt
    parameters_total: PositiveInt
    cnll: Interval
    probability_best: float | None
    gain: Interval
    extrapolation: Extrapolation


class Prediction(Record):
    """The splits of one budget, and which is expected to be the best.

    `status` is "ok", or says why the data cannot carry the answer.
    """

    budget: PositiveInt
    budget_kind: str
    best: PositiveInt
    status: str
    splits: list[PredictedSplit]
