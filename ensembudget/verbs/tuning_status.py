"""How far the tuning of a study is."""

from typing import NamedTuple

from ..planning.tuning import choosers, flops_at_most, most_members
from ..records import Plan, Tuning
from ..store import Store


class TuningStatus(NamedTuple):
    """How far one choice is.

    Attributes:
        tuning: Which.
        members: That it takes at most, all combinations together.
        done: Members that are in the store, diverged ones included.
        flops: Floating-point operations that it takes at most.
        reasons: Why members failed when last tried.
    """

    tuning: Tuning
    members: int
    done: int
    flops: float
    reasons: list[str]


def tuning_status(planned: Plan, store: Store) -> list[TuningStatus]:
    """How far each choice of a plan is."""
    return [_status(one, store) for one in planned.tuning]


def _status(tuning: Tuning, store: Store) -> TuningStatus:
    most, flops = most_members(tuning), flops_at_most(tuning)
    if tuning.choice:  # its members may lie in another store
        return TuningStatus(tuning, most, sum(trial.members for trial in tuning.choice.trials), flops, [])
    every = [choosers(tuning, i, tuning.members) for i in range(len(tuning.combinations))]
    keys = [run.key for cell in every for run in cell.runs]
    reasons = [why for key in keys if key not in store and (why := store.failure(key))]
    return TuningStatus(tuning, most, sum(key in store for key in keys), flops, reasons)
