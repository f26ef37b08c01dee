"""How members are stepped: one row a cell, and the columns of a way wherever one is listed."""

from ..records import Plan, Stepping
from ..stepping.autotune import Arrangement
from ._base import Column, Row, Table

WAY = (
    Column("pack", "pack", "d"),
    Column("way", "way"),
    Column("layout", "layout"),
    Column("compiled", "compiled"),
    Column("captured", "captured"),
)

table = Table(
    "steppings",
    "How members are stepped (a trial's choice where it was worth one)",
    (
        Column("arm", "arm"),
        Column("width", "width", "d"),
        Column("members", "members", "d"),
        *WAY,
        Column("workers", "processes", "d"),
        Column("threads", "threads each", "d"),
        Column("step_ms", "ms a step, tried", ".1f"),
    ),
)


def way_row(stepping: Stepping) -> Row:
    """A way as its columns have it."""
    return {
        name: str(value) if isinstance(value, bool) else value
        for name, value in stepping.model_dump().items()
    }


def rows(planned: Plan, arrangement: Arrangement) -> list[Row]:
    """Of the cells that were arranged, in the plan's order."""
    place = arrangement.place
    return [
        {
            "arm": cell.arm or None,
            "width": cell.cell.width,
            "members": cell.members,
            **way_row(chosen.stepping),
            "workers": place.workers,
            "threads": place.threads,
            "step_ms": 1e3 * chosen.timing.seconds if chosen.timing and chosen.timing.seconds else None,
        }
        for cell in planned.cells
        if (chosen := arrangement.chosen.get(cell.cell.key))
    ]
