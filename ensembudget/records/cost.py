"""What a split was measured to cost."""

from typing import Annotated

from pydantic import Field, NonNegativeInt

from ._base import Record

Measured = Annotated[float, Field(ge=0)]


class SplitCost(Record):
    """Time and memory of all members of a split together, on one machine; None where not measured."""

    train_step_ms: Measured | None = None
    evaluate_ms_per_sample: Measured | None = None
    inference_ms_batch_1: Measured | None = None
    inference_ms_batch_128: Measured | None = None
    peak_memory_bytes: NonNegativeInt | None = None

    def over(self, other: "SplitCost") -> dict[str, float | None]:
        """Each as a multiple of another split's; None where either is missing, or the other's is zero.

        >>> SplitCost(train_step_ms=3.0).over(SplitCost(train_step_ms=2.0))["train_step_ms"]
        1.5
        """
        mine, its = self.model_dump(), other.model_dump()
        return {n: mine[n] / its[n] if mine[n] is not None and its[n] else None for n in mine}
