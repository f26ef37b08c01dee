"""Says which members of a plan are still to be trained."""

from ..records import Plan, Run
from ..store import Store


def missing_runs(planned: Plan, store: Store) -> list[Run]:
    """Members that the store lacks, or of which it lacks something that the study wants."""
    keep = planned.study.keep_weights
    return [run for run in planned.runs if store.lacks(run, keep_weights=keep)]


def repeated_runs(planned: Plan, store: Store) -> list[Run]:
    """Members that are stored and must be trained again, for the study wants weights that were not kept."""
    return [run for run in missing_runs(planned, store) if run.key in store]
