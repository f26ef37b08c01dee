"""The rounds of a search."""

from pydantic import NonNegativeInt, PositiveInt

from ._base import Record
from .study import Study

# What a search is content with where nobody says: a split within 1% of the best, with probability 0.95.
TOLERANCE, CONFIDENCE = 0.01, 0.95


class Round(Record):
    """What a search trained in one round, why, and what it knew before."""

    width: PositiveInt
    seeds: list[NonNegativeInt]
    keys: list[str]
    flops: float  # of training, all seeds
    best: PositiveInt | None  # members of the split that was expected to be best, where there was a law
    confidence: float
    loss: float | None  # of a wrong choice in expectation, nats per sample
    reason: str


class Search(Record):
    """A search of one study, arm and budget, with its rounds so far."""

    study: Study
    arm: str
    budget: str
    rounds: list[Round] = []
