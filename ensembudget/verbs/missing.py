"""Says which members of a plan are still to be trained, or rounded from trained ones."""

from ..records import Plan, PlannedCell, Run
from ..store import Store


def missing_runs(planned: Plan, store: Store) -> list[Run]:
    """Members that the store lacks, or of which it lacks something that the study wants."""
    keep = planned.study.keep_weights
    return [run for run in planned.runs if store.lacks(run, keep_weights=keep)]


def unrounded(planned: Plan, store: Store) -> list[tuple[PlannedCell, list[Run]]]:
    """The pools in other dtypes than float32 that lack members, and which."""
    lacking = [
        (pool, [run for run in pool.runs if run.key not in store])
        for pool in planned.pools
        if not pool.cell.is_trained
    ]
    return [(pool, runs) for pool, runs in lacking if runs]


def training_plan(planned: Plan, store: Store) -> Plan:
    """What is to be trained for a plan: the plan itself where all of it is in float32.

    Pools that only serve other dtypes are left out once these are there, and so are kept weights.
    """
    trained = planned.trained
    if trained is planned:
        return planned
    rounding = unrounded(planned, store)
    needed = {pool.cell.trained.key for pool, _ in rounding}
    needed |= {pool.cell.key for pool in planned.pools if pool.cell.is_trained}
    study = planned.study.model_copy(update={"keep_weights": planned.study.keep_weights or bool(rounding)})
    cells = [one for one in trained.cells if one.cell.key in needed]
    return trained.model_copy(update={"study": study, "cells": cells})


def repeated_runs(planned: Plan, store: Store) -> list[Run]:
    """Members that are stored and must be trained again, for the study wants weights that were not kept."""
    return [run for run in missing_runs(planned, store) if run.key in store]
