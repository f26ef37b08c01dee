"""The table of how members are stepped, and the columns of a stepping wherever one is listed."""

from ..catalog import TASKS
from ..records import Plan, Stepping
from ..stepping.arrange import Arrangement
from ..tables._base import Column, Row, Table
from ..tables._setting import setting_columns

STEPPING_COLUMNS = (
    Column("pack", "pack", "d"),
    Column("way", "way"),
    Column("layout", "layout"),
    Column("compiled", "compiled"),
    Column("captured", "captured"),
)

table = Table(
    "steppings",
    "How members are stepped (autotuned where the run is long enough)",
    (
        *setting_columns(),
        Column("width", "width", "d"),
        Column("members", "members", "d"),
        *STEPPING_COLUMNS,
        Column("workers", "processes", "d"),
        Column("threads", "threads each", "d"),
        Column("step_ms", "ms a step, measured", ".1f"),
    ),
    about="run",
)


def stepping_row(stepping: Stepping) -> Row:
    """A stepping as its columns have it."""
    return {
        name: str(value) if isinstance(value, bool) else value
        for name, value in stepping.model_dump().items()
    }


def rows(planned: Plan, arrangement: Arrangement) -> list[Row]:
    """One a trained cell that was arranged, in their order; a layout only where samples have one."""
    place = arrangement.place
    without = {} if TASKS[planned.task.kind if planned.task else "images"].layouts else {"layout": None}
    return [
        {
            **{name: value for column in setting_columns() for name, value in column.cells(cell).items()},
            "width": cell.cell.width,
            "members": cell.members,
            **stepping_row(chosen.stepping),
            **without,
            "workers": place.workers,
            "threads": place.threads,
            "step_ms": 1e3 * chosen.timing.seconds if chosen.timing and chosen.timing.seconds else None,
        }
        for cell in planned.trained.cells
        if (chosen := arrangement.chosen.get(cell.cell.key))
    ]
