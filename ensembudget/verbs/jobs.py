"""Jobs for an executor: what a plan needs and a store lacks."""

import math
import os
from collections.abc import Iterator, Sequence

from ..errors import ArgumentError, told
from ..executors._base import CHECKPOINT_SECONDS, Job
from ..records import Environment, Plan, PlannedCell, Run, Stepping
from ..stepping.arrange import Arrangement, as_given
from ..stepping.place import Place
from ..store import Store
from .missing import repeated_runs, unrounded

CHECKPOINTS = "ENSEMBUDGET_CHECKPOINT_SECONDS"


def missing_cells(planned: Plan, store: Store) -> list[PlannedCell]:
    """The cells whose pools lack members."""
    there = store.keys()
    return [cell for cell in planned.pools if not all(key in there for key in cell.keys)]


def checkpoint_seconds() -> float:
    """The least time between checkpoints of a pack: `$ENSEMBUDGET_CHECKPOINT_SECONDS`, or the default.

    Raises:
        ArgumentError: It is no such number.
    """
    text = os.environ.get(CHECKPOINTS)
    try:
        found = CHECKPOINT_SECONDS if text is None else float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise ArgumentError(
            f"{CHECKPOINTS} = {told(text)} is not a number of seconds between checkpoints. Set"
            f" 0 to keep one after every epoch, or more; the default is {CHECKPOINT_SECONDS:g}."
        )
    return found


def missing_jobs(planned: Plan, store: Store, arrangement: Arrangement, *, repeat: bool = True) -> list[Job]:
    """The packs that lack members or their weights, the costliest first, so that workers end together.

    Packs are whole (members 0 to 7, 8 to 15, and so on), whatever is there already. Unless `repeat`,
    stored members are not trained again for weights that were not kept.
    """
    cells, place = missing_cells(planned, store), arrangement.place
    # A cell that was whole when the run was arranged may have lost a damaged member since.
    given = as_given(cells, planned.study.stepping, place).chosen
    packs = [
        (cell.runs[first : first + stepping.pack], stepping, place.threads)
        for cell in cells
        for stepping in [arrangement.chosen.get(cell.cell.key, given[cell.cell.key]).stepping]
        for first in range(0, cell.members, stepping.pack)
    ]
    packs = [pack for pack in packs if not all(run.key in store for run in pack[0])]
    if repeat:
        packs += _repeated_packs(planned, store, {run.key for pack in packs for run in pack[0]})
    seconds = checkpoint_seconds()
    jobs = [
        Job(
            runs=runs,
            store=str(store.root.resolve()),
            device=place.device,
            threads=threads,
            stepping=stepping,
            keep_weights=planned.study.keep_weights,
            checkpoint_seconds=seconds,
        )
        for runs, stepping, threads in packs
    ]
    return sorted(jobs, key=lambda job: -planned.training_flops(job.runs))


def _repeated_packs(
    planned: Plan, store: Store, others: set[str]
) -> Iterator[tuple[list[Run], Stepping, int]]:
    """Packs whose weights were not kept, stepped as they were trained: else they give other logits."""
    weightless = {run.key for run in repeated_runs(planned, store)} - others
    for cell in planned.pools:
        if not any(run.key in weightless for run in cell.runs):
            continue
        stored = [run for run in cell.runs if run.key in store and run.key not in others]
        for runs, environment in _packs_as_trained(stored, store):
            if any(run.key in weightless for run in runs):
                yield runs, environment.stepping, environment.threads


ROUNDED_AT_ONCE = 8  # members of one job: enough that its images are read for several


def rounding_jobs(planned: Plan, store: Store, place: Place) -> list[Job]:
    """Jobs that round trained members in the store to other dtypes."""
    jobs = [
        Job(
            runs=runs[first : first + ROUNDED_AT_ONCE],
            store=str(store.root.resolve()),
            device=place.device,
            threads=place.threads,
            stepping=Stepping(),
            keep_weights=False,
        )
        for _, runs in unrounded(planned, store)
        for first in range(0, len(runs), ROUNDED_AT_ONCE)
    ]
    return sorted(jobs, key=lambda job: -planned.training_flops(job.runs))


def weight_jobs(cell: PlannedCell, runs: Sequence[Run], store: Store, device: str) -> list[Job]:
    """The packs that train weights for stored members that were published without them.

    Whole packs are trained again, stepped as they were: else they give other logits.
    """
    wanted = {run.key for run in runs if "weights" not in store.artefacts(run.key)}
    stored = [run for run in cell.runs if run.key in store] if wanted else []
    return [
        Job(
            runs=pack,
            store=str(store.root.resolve()),
            device=device,
            threads=environment.threads,
            stepping=environment.stepping,
            keep_weights=True,
            checkpoint_seconds=checkpoint_seconds(),
        )
        for pack, environment in _packs_as_trained(stored, store)
        if wanted & {run.key for run in pack}
    ]


def _packs_as_trained(runs: Sequence[Run], store: Store) -> Iterator[tuple[list[Run], Environment]]:
    """Members that follow each other, in packs of the size that each was trained in."""
    pack: list[Run] = []
    where: Environment | None = None
    for run in runs:
        environment = store.read(run.key).member.environment
        if where is not None and (environment != where or len(pack) == where.pack):
            yield pack, where
            pack = []
        pack, where = [*pack, run], environment
    if where is not None:
        yield pack, where
