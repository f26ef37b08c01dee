"""How members are stepped, and what a study fixes of it."""

from typing import Any, Literal

from pydantic import PositiveInt

from ._base import Record

Way = Literal["grouped", "separate", "vmap"]

MemoryLayout = Literal["channels_last", "contiguous"]


class Stepping(Record):
    """How members are stepped: it decides their speed and, by rounding alone, what they become.

    `pack` members share a step. Together they go through the network as `grouped` convolutions,
    one after another (`separate`; on a GPU side by side), or by `vmap`. `compiled` is torch.compile,
    `captured` a whole step replayed as one CUDA graph.
    """

    pack: PositiveInt = 1
    way: Way = "grouped"
    layout: MemoryLayout = "channels_last"
    compiled: bool = False
    captured: bool = False

    def __str__(self) -> str:
        """As a table says it.

        >>> print(Stepping(pack=8, compiled=True))
        packs of 8, grouped, channels_last, compiled
        """
        words = [f"packs of {self.pack}", self.way, self.layout]
        return ", ".join(words + [word for word in ("compiled", "captured") if getattr(self, word)])


class SteppingChoice(Record):
    """What a study or a user fixes of a stepping, and threads a process; a trial finds the rest."""

    pack: PositiveInt | None = None
    way: Way | None = None
    layout: MemoryLayout | None = None
    compiled: bool | None = None
    captured: bool | None = None
    threads: PositiveInt | None = None

    @property
    def fixed(self) -> dict[str, Any]:
        """What is given of `Stepping`'s fields."""
        return self.model_dump(exclude_none=True, exclude={"threads"})

    def over(self, other: "SteppingChoice") -> "SteppingChoice":
        """What this gives, and what the other does where this gives nothing."""
        return SteppingChoice(**other.model_dump() | self.model_dump(exclude_none=True))
