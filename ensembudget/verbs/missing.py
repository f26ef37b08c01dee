"""Which members of a plan are still to be trained, or rounded from trained ones."""

from typing import NamedTuple

from ..records import Plan, PlannedCell, Run
from ..store import Store, wanted


def missing_runs(planned: Plan, store: Store) -> list[Run]:
    """Members that the store lacks, or lacks something of that the study wants."""
    keep = planned.study.keep_weights
    return [run for run in planned.runs if store.lacks(run, keep_weights=keep)]


class Lacking(NamedTuple):
    """What a store lacks of one pool.

    Attributes:
        pool: Which.
        missing: Members that are not there.
        again: Members that are there, without weights that the study wants.
    """

    pool: PlannedCell
    missing: int
    again: int


def lacking(planned: Plan, store: Store) -> list[Lacking]:
    """What a store lacks of every pool: the numbers of `missing_runs`, without making a run of each.

    A pool of which nothing is there costs nothing, whatever its size.
    """
    found, there = [], store.keys()
    for pool in planned.pools:
        present = [key for key in pool.keys if key in there] if there else []
        asked = "weights" in wanted(pool.cell, keep_weights=planned.study.keep_weights)
        again = sum("weights" not in store.artefacts(key) for key in present) if asked else 0
        found.append(Lacking(pool, pool.members - len(present), again))
    return found


def unrounded(planned: Plan, store: Store) -> list[tuple[PlannedCell, list[Run]]]:
    """The pools in other dtypes than float32 that lack members, and which."""
    lacking = [
        (pool, [run for run in pool.runs if run.key not in store])
        for pool in planned.pools
        if not pool.cell.is_trained
    ]
    return [(pool, runs) for pool, runs in lacking if runs]


def training_plan(planned: Plan, store: Store) -> Plan:
    """The plan of what must be trained: the plan itself if all of it is in float32.

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
    """Stored members that must be trained again because the study wants weights that were not kept."""
    return [run for run in missing_runs(planned, store) if run.key in store]
