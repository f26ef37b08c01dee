"""How good one ensemble is."""

from pydantic import NonNegativeInt, PositiveInt

from ._base import Record


class Score(Record):
    """One ensemble: which members of a pool, and how good they are together.

    Attributes:
        cell: Key of the pool's cell; "" for logits from elsewhere.
        members: Ensemble size.
        replicate: Which of the disjoint groups of that size, from 0.
        metrics: By name, all at temperature 1; None where an ensemble has none.
        cnll: NLL at a cross-fitted temperature applied to the average, nats per sample.
        cnll_before: The same with members tempered before they are averaged.
        temperature: Geometric mean over the fits.
        temperature_before: The same for `cnll_before`.
    """

    cell: str
    members: PositiveInt
    replicate: NonNegativeInt
    metrics: dict[str, float | None]
    cnll: float
    cnll_before: float
    temperature: float
    temperature_before: float

    def value(self, name: str) -> float | None:
        """A metric, `cnll` or `cnll_before` by name."""
        return getattr(self, name) if name in ("cnll", "cnll_before") else self.metrics[name]
