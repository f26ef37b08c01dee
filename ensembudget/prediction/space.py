"""What a search may choose from, and what it may train."""

import re
from dataclasses import dataclass
from functools import cached_property

from ..errors import ArgumentError
from ..records import Plan, PlannedCell, Search
from .budgets import Budgeted

_PREFIXES = " kMGTPEZ"  # of FLOP, a thousand each
_SPEND = re.compile(r"([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]{1,2})?)\s*(?:%|(([kMGTPEZ]?)FLOPs?))")


@dataclass(frozen=True)
class Space:
    """What a search may choose from, and what it may train.

    Attributes:
        search: Whose rounds these are, without them.
        budget: The splits to choose from.
        planned: Every cell that may be trained: of the budget's widths, and narrower ones of the study.
        parameters: Of one member, by width.
        grid: Operations to train all that the study would train for this budget.
    """

    search: Search
    budget: Budgeted
    planned: Plan
    parameters: dict[int, int]
    grid: float

    @cached_property
    def cells(self) -> dict[int, PlannedCell]:
        """What may be trained, by width."""
        return {cell.cell.width: cell for cell in self.planned.cells}


def spend_of(written: str, grid: float) -> float:
    """Operations of training as people write them, `25%` of the grid or `40TFLOP`.

    Raises:
        ArgumentError: Neither, or nothing at all.

    Example:
        >>> spend_of("25%", 8e12), spend_of("40TFLOP", 8e12)
        (2000000000000.0, 40000000000000.0)
    """
    match = _SPEND.fullmatch(written.strip())
    if not match:
        raise ArgumentError(
            f"--spend {written!r} is not an amount of training. Write it like 25% or 40TFLOP."
        )
    number = float(match[1])
    if not match[2]:
        if not 0 < number <= 100:
            raise ArgumentError(
                f"--spend {written!r} is not a share of the grid. Write it like 25%, or as 40TFLOP."
            )
        return number / 100 * grid
    if number <= 0:
        raise ArgumentError(
            f"--spend {written!r} is too little to train anything. Write it like 25% or 40TFLOP."
        )
    return number * 1000.0 ** _PREFIXES.index(match[3] or " ")
