"""How members are stepped, and what a study fixes of it."""

from typing import Any, Literal

from pydantic import PositiveInt

from ._base import DOCUMENTED, Record

MemoryLayout = Literal["channels_last", "contiguous"]


class Stepping(Record):
    """How members are stepped. It decides their speed and, by rounding alone, what they become."""

    model_config = DOCUMENTED

    pack: PositiveInt = 1
    """How many members share a step. Example: `pack = 8`"""
    way: str = "grouped"
    """How the samples of a pack go through its network (`ensembudget ls ways`). Example: `way = "grouped"`"""
    layout: MemoryLayout = "channels_last"
    """How images lie in memory; other samples have no layout. Example: `layout = "contiguous"`"""
    compiled: bool = False
    """Whether steps are compiled by torch.compile. Example: `compiled = false`"""
    captured: bool = False
    """Whether a whole step is replayed as one CUDA graph. Example: `captured = true`"""

    def __str__(self) -> str:
        """As a table says it.

        >>> print(Stepping(pack=8, compiled=True))
        packs of 8, grouped, channels_last, compiled
        """
        words = [f"packs of {self.pack}", self.way, self.layout]
        return ", ".join(words + [word for word in ("compiled", "captured") if getattr(self, word)])


class SteppingChoice(Record):
    """What a study or a user fixes of a `Stepping`, and of threads a process; autotuning finds the rest."""

    model_config = DOCUMENTED

    pack: PositiveInt | None = None
    way: str | None = None
    layout: MemoryLayout | None = None
    compiled: bool | None = None
    captured: bool | None = None
    threads: PositiveInt | None = None
    """Threads of each process. Example: `threads = 1`"""

    @property
    def fixed(self) -> dict[str, Any]:
        """The fields of `Stepping` that are given."""
        return self.model_dump(exclude_none=True, exclude={"threads"})

    def over(self, other: "SteppingChoice") -> "SteppingChoice":
        """This choice, with the other's where this one leaves a field open."""
        return SteppingChoice(**other.model_dump() | self.model_dump(exclude_none=True))
