"""How a run is spread over a machine, and how each of its cells is stepped."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..catalog import TASKS
from ..errors import SteppingError
from ..records import AnyTask, PlannedCell, Stepping, SteppingChoice
from .autotune import (
    BENCH,
    UNUSED,
    Bench,
    Chosen,
    Request,
    UnmeasuredError,
    choose_all,
    choose_place,
    is_worth,
)
from .check import faults
from .place import Place


class Arrangement(NamedTuple):
    """Where a run happens, and each cell's stepping by the cell's key."""

    place: Place
    chosen: Mapping[str, Chosen]


def check_stepping(cells: Sequence[PlannedCell], task: AnyTask, fixed: SteppingChoice, device: str) -> None:
    """Refuses what is fixed where some cell, of this task, cannot be stepped in that way.

    Raises:
        SteppingError: It says why.
        UnknownPartError: No such way.
    """
    kind = TASKS[task.kind]
    if fixed.layout is not None and not kind.layouts:
        having = ", ".join(one.samples for one in TASKS.usable().values() if one.layouts)
        raise SteppingError(
            f"stepping.layout = {fixed.layout!r}: only {having} have a layout in memory, and these samples"
            f" are {kind.samples}. Leave it out."
        )
    stepping = Stepping(**fixed.fixed)
    for cell in cells:
        recorded = cell.cell.record is not None
        if wrong := faults(stepping, cell.cell.recipe, device, recorded=recorded):
            raise SteppingError(f"members cannot be stepped as asked: {' '.join(wrong)}")


def as_given(cells: Sequence[PlannedCell], fixed: SteppingChoice, place: Place) -> Arrangement:
    """Every cell stepped as it is given, with defaults for the rest; nothing is measured."""
    return Arrangement(place, {cell.cell.key: Chosen(Stepping(**fixed.fixed), None) for cell in cells})


def autotuned(
    planned: Sequence[PlannedCell],
    missing: Sequence[PlannedCell],
    task: AnyTask,
    fixed: SteppingChoice,
    places: Sequence[Place],
    bench: Bench = BENCH,
) -> Arrangement:
    """The fastest place and steppings, measured on this machine where the run is long enough.

    Args:
        planned: All cells of the plan: by them it is judged whether measuring is worth it, and where the
            run happens, so that an interrupted run continues as it began.
        missing: Those that still lack members, at least one; only they get a stepping.
        task: Of their dataset.
        fixed: What is not varied.
        places: Where the run may happen, the usual place first.
        bench: How measurements are made.
    """
    all_there = [request_of(cell, task, fixed, places[0]) for cell in planned]
    worth = is_worth(all_there, bench)
    costliest = max(all_there, key=lambda request: request.flops * request.members)
    place = choose_place(costliest, places, worth=worth, bench=bench)
    asked = [request_of(cell, task, fixed, place) for cell in missing]
    chosen = choose_all(asked, worth=worth, bench=bench)
    return Arrangement(place, {cell.cell.key: one for cell, one in zip(missing, chosen, strict=True)})


def as_known(
    planned: Sequence[PlannedCell],
    missing: Sequence[PlannedCell],
    task: AnyTask,
    fixed: SteppingChoice,
    places: Sequence[Place],
) -> Arrangement:
    """What `autotuned` would find, as far as earlier runs have measured it; nothing is measured now."""
    try:
        return autotuned(planned, missing, task, fixed, places, UNUSED)
    except UnmeasuredError:
        return as_given(missing, fixed, places[0])


def request_of(cell: PlannedCell, task: AnyTask, fixed: SteppingChoice, place: Place) -> Request:
    """What autotuning is asked for a planned cell."""
    return Request(
        cell=cell.cell,
        task=task,
        members=cell.members,
        flops=cell.training_flops,
        fixed=fixed,
        place=place,
    )
