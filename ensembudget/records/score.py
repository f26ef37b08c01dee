"""What one ensemble is worth."""

from pydantic import NonNegativeInt, PositiveInt

from ._base import Record


class Score(Record):
    """One ensemble: which members of a pool, and how good they are together."""

    cell: str
    members: PositiveInt
    replicate: NonNegativeInt
    accuracy: float
    nll: float
    cnll: float
    cnll_before: float
    temperature: float
    temperature_before: float
    brier: float
    ece: float
    disagreement: float | None = None

    def value(self, name: str) -> float:
        value = getattr(self, name)
        return float(value)
