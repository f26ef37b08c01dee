"""How members are stepped, and what a study fixes of it."""

from typing import Any, Literal

from pydantic import PositiveInt

from ._base import Record

MemoryLayout = Literal["channels_last", "contiguous"]


class Stepping(Record):
    """How members are stepped. It decides their speed and, by rounding alone, what they become.

    `pack` members share a step, and `way` (`ensembudget ls ways`) says how their images go through the
    packed network. `compiled` is torch.compile; `captured` replays a whole step as one CUDA graph.
    """

    pack: PositiveInt = 1
    way: str = "grouped"
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
    """What a study or a user fixes of a stepping, and of threads a process; autotuning finds the rest."""

    pack: PositiveInt | None = None
    way: str | None = None
    layout: MemoryLayout | None = None
    compiled: bool | None = None
    captured: bool | None = None
    threads: PositiveInt | None = None

    @property
    def fixed(self) -> dict[str, Any]:
        """The fields of `Stepping` that are given."""
        return self.model_dump(exclude_none=True, exclude={"threads"})

    def over(self, other: "SteppingChoice") -> "SteppingChoice":
        """This choice, with the other's where this one leaves a field open."""
        return SteppingChoice(**other.model_dump() | self.model_dump(exclude_none=True))
