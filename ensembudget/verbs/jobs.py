"""What a store lacks of a plan, as jobs for an executor."""

from ..executors._base import Job
from ..records import Plan, PlannedCell
from ..stepping.arrange import Arrangement, as_given
from ..store import Store
from .missing import missing_runs


def missing_cells(planned: Plan, store: Store) -> list[PlannedCell]:
    """The cells whose pools lack members, or weights that the study wants."""
    missing = {run.key for run in missing_runs(planned, store)}
    return [cell for cell in planned.cells if any(run.key in missing for run in cell.runs)]


def missing_jobs(planned: Plan, store: Store, arrangement: Arrangement, *, repeat: bool = True) -> list[Job]:
    """The packs that lack members, the costliest first, so that workers end together.

    Packs are whole (members 0 to 7, 8 to 15, and so on), whatever is there already. Unless `repeat`,
    stored members are not trained again for weights that were not kept.
    """
    cells, place = missing_cells(planned, store), arrangement.place
    # A cell that was whole when the run was arranged may have lost a damaged member since.
    given = as_given(cells, planned.study.stepping, place).chosen
    jobs = [
        Job(
            runs=cell.runs[first : first + stepping.pack],
            store=str(store.root.resolve()),
            device=place.device,
            threads=place.threads,
            stepping=stepping,
            keep_weights=planned.study.keep_weights,
        )
        for cell in cells
        for stepping in [arrangement.chosen.get(cell.cell.key, given[cell.cell.key]).stepping]
        for first in range(0, cell.members, stepping.pack)
    ]
    missing = {run.key for run in missing_runs(planned, store) if repeat or run.key not in store}
    lacking = [job for job in jobs if any(run.key in missing for run in job.runs)]
    return sorted(lacking, key=lambda job: -planned.training_flops(job.runs))
