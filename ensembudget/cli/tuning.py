"""Prints the progress and the cost of tuning, for all commands that tune."""

from typing import TYPE_CHECKING

from ..errors import visible
from .training import TrainingOptions, say_outcomes

if TYPE_CHECKING:
    from ..records import Plan
    from ..store import Store


def print_tuning(planned: "Plan", store: "Store", kind: str = "table", columns: str = "fit") -> None:
    """What tuning takes, and how much of it is done; kind and columns as in `print_rows`."""
    from ..planning.tuning import following
    from ..tables._wording import samples_of, worded_table
    from ..verbs.tuning_status import tuning_status
    from .layouts import TUNING
    from .show import print_rows

    rows = tuning_status(planned, store)
    print_rows(worded_table(TUNING, samples_of(planned)), TUNING.rows(rows), kind, columns)
    if kind != "table":
        return
    print(
        f"{len(planned.tuning) - len(planned.pending)} of {len(planned.tuning)} choices made:"
        f" {sum(row.done for row in rows)} of at most {sum(row.members for row in rows)} members,"
        f" at most {sum(row.flops for row in rows):.3g} FLOP in all."
    )
    for reason in sorted({reason for row in rows for reason in row.reasons}):
        print(f"failed: {visible(reason)}")
    if (after := following(planned)).members:
        print(
            f"Tuned pools follow when the choices are made: at most {after.members} members and"
            f" {after.flops:.3g} FLOP more."
        )


def tune_shown(planned: "Plan", store: "Store", how: TrainingOptions) -> int:
    """Tunes with progress shown, says how it ended, and returns the exit code."""
    from ..verbs.tune import tune
    from .progress import shown

    name = f"{planned.study.name}, tuning"
    with shown(name) as on_progress:
        outcomes = tune(planned, store, **how, on_progress=on_progress)
    return say_outcomes(name, outcomes)
