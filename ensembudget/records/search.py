"""The rounds of a search."""

from pydantic import NonNegativeInt, PositiveInt

from ._base import Record
from .study import Study


class Round(Record):
    """What a search trained at one time, and why: what it knew before is beside it."""

    width: PositiveInt
    seeds: list[NonNegativeInt]
    keys: list[str]
    flops: float  # of training, all seeds
    best: PositiveInt | None  # members of the split that was expected to be best, where there was a law
    confidence: float
    loss: float | None  # of a wrong choice in expectation, nats per sample
    reason: str


class Search(Record):
    """The rounds that went before, of one study, arm and budget."""

    study: Study
    arm: str
    budget: str
    rounds: list[Round] = []
