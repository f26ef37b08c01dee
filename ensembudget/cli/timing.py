"""Prints how long a run will take, before it starts."""

import sys
from functools import partial
from typing import TYPE_CHECKING

from .show import duration

if TYPE_CHECKING:
    from ..stepping.arrange import Arrangement
    from ..stepping.autotune import Request
    from ..stepping.trial import Report
    from ..verbs.estimate import Estimate


def trials_said(name: str) -> "Report":
    """Reports on standard error which width is being timed."""
    return partial(_say, name)


def _say(name: str, number: int, count: int, request: "Request") -> None:
    said = f"{name}: timing a few steps of width {request.cell.width}, {number} of {count}"
    print(said, file=sys.stderr, flush=True)


def time_told(found: "Estimate | None", arrangement: "Arrangement") -> str:
    """How long a run would take, and what the estimate is based on."""
    if found is None:
        return "How long that takes is not known: no step could be timed for the machines that would train."
    place = arrangement.place
    processes = f"{place.workers} process{'es' * (place.workers > 1)}"
    return (
        f"About {duration(found.whole)} in all on this machine, {processes} of"
        f" {place.threads} thread{'s' * (place.threads > 1)}"
        + (f", of which tuning and tuned pools at most {duration(found.tuning)}" if found.tuning else "")
        + ": from a few steps or earlier timings"
        + (
            f" of {found.measured} of {found.cells} widths, and the operations of the others"
            if found.measured < found.cells
            else " of every width"
        )
        + "."
    )
