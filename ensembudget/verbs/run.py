"""Trains what a study lacks."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..catalog import EXECUTORS
from ..datasets._cache import open_cached
from ..errors import PlanError
from ..executors._base import Executor, Job, Outcome
from ..records import Plan, PlannedCell, Stepping, SteppingChoice
from ..stepping.autotune import Arrangement, Chosen, Request, choose_all, choose_place, is_worth
from ..stepping.step import faults
from ..stepping.timing import Place
from ..store import Store


@dataclass(frozen=True)
class Progress:
    """How far a `run` is: members ended of those that were missing, share of the work, seconds."""

    ended: int
    missing: int
    share: float
    seconds: float

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the work done so far; None before there is any."""
        return self.seconds * (1 - self.share) / self.share if self.share > 0 else None


def missing_cells(planned: Plan, store: Store) -> list[PlannedCell]:
    """Those of whose pools anything is missing."""
    return [cell for cell in planned.cells if not all(run.key in store for run in cell.runs)]


def missing_jobs(planned: Plan, store: Store, arrangement: Arrangement) -> list[Job]:
    """The packs with anything missing, the costliest first, so that workers end together.

    Packs are whole (members 0 to 7, 8 to 15, and so on), whatever is there already.
    """
    place = arrangement.place
    # For a cell that was whole when it was arranged, and has lost a damaged member since.
    plain = Chosen(Stepping(**planned.study.stepping.fixed), None)
    jobs = [
        Job(
            runs=cell.runs[first : first + stepping.pack],
            store=str(store.root.resolve()),
            device=place.device,
            threads=place.threads,
            stepping=stepping,
            keep_weights=planned.study.keep_weights,
        )
        for cell in missing_cells(planned, store)
        for stepping in [arrangement.chosen.get(cell.cell.key, plain).stepping]
        for first in range(0, cell.members, stepping.pack)
    ]
    lacking = [job for job in jobs if not all(run.key in store for run in job.runs)]
    return sorted(lacking, key=lambda job: -planned.training_flops(job.runs))


def arrange(
    planned: Plan,
    store: Store,
    *,
    executor: str = "processes",
    workers: int | None = None,
    threads: int | None = None,
    device: str = "cpu",
    stepping: SteppingChoice | None = None,
) -> Arrangement:
    """How a run's members will be stepped on this machine, tried where it is worth it.

    Args:
        planned: What is to be trained.
        store: What of it is there; cells that are complete are not tried.
        executor: `serial`, `processes` or `ray`.
        workers: How many jobs at one time; None leaves it to the executor and a trial.
        threads: Of each worker; None likewise.
        device: A torch device.
        stepping: What is given, over what the study gives.

    Raises:
        PlanError: No such executor or device, fewer than one worker or thread, or members that
            cannot be stepped as it was given.
    """
    part = EXECUTORS[executor]
    check_device(device)
    for name, number in (("workers", workers), ("threads", threads)):
        if number is not None and number < 1:
            raise PlanError(f"{name} {number} is below 1, the least that can work.")
    fixed = (stepping or SteppingChoice()).over(planned.study.stepping)
    cells = missing_cells(planned, store)
    for cell in cells:
        plainest, recorded = Stepping(**fixed.fixed), cell.cell.record is not None
        if wrong := faults(plainest, cell.cell.recipe, device, recorded=recorded):
            raise PlanError(f"cannot step so: {' '.join(wrong)}")
    places = _places(part, device, workers, threads or fixed.threads)
    if not cells or not part.here:
        return Arrangement(places[0], {c.cell.key: Chosen(Stepping(**fixed.fixed), None) for c in cells})
    task = open_cached(cells[0].cell.dataset_digest, cells[0].cell.dataset).task

    def request(cell: PlannedCell, place: Place) -> Request:
        return Request(
            cell=cell.cell,
            task=(task.classes, task.channels, task.image_size),
            members=cell.members,
            flops=cell.training_flops,
            fixed=fixed,
            place=place,
        )

    # Judged by all cells, so that a run that was interrupted goes on as it began.
    costliest = max(planned.cells, key=lambda cell: cell.training_flops * cell.members)
    worth = is_worth(request(cell, places[0]) for cell in planned.cells)
    place = choose_place(request(costliest, places[0]), places, worth=worth)
    chosen = choose_all([request(cell, place) for cell in cells], worth=worth)
    return Arrangement(place, {cell.cell.key: one for cell, one in zip(cells, chosen, strict=True)})


def _places(part: Executor, device: str, workers: int | None, threads: int | None) -> list[Place]:
    """What may be tried of processes and threads, what is usual first."""
    usual = part.workers(device) if workers is None else workers
    # Each of several workers on a CPU gets one thread; a lone one gets torch's own number.
    each = threads or (1 if usual > 1 else torch.get_num_threads())
    places = [Place(device=device, workers=usual, threads=each)]
    if workers is None and threads is None and usual > 1:
        places.append(Place(device=device, workers=1, threads=usual))
    return places


def run(
    planned: Plan,
    store: Store,
    *,
    executor: str = "processes",
    workers: int | None = None,
    device: str = "cpu",
    arrangement: Arrangement | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> list[Outcome]:
    """Trains every member that is planned and that the store lacks.

    Args:
        planned: What to train.
        store: Where members are published.
        executor: `serial`, `processes` or `ray`.
        workers: How many jobs at one time; None leaves it to the executor.
        device: A torch device, as `cpu` or `cuda`.
        arrangement: How, as `arrange` found it; it says workers and device then. None asks it.
        on_progress: Called as epochs and jobs end.

    Returns:
        One outcome a member that was trained now; members that were there are not among them.

    Raises:
        PlanError: No such executor or device, or fewer than one worker.
        StoreError: The store cannot be written.
    """
    if arrangement is None:
        arrangement = arrange(planned, store, executor=executor, workers=workers, device=device)
    store.save_plan(planned)
    return train_missing(planned, store, arrangement, executor, on_progress)


def train_missing(
    planned: Plan,
    store: Store,
    arrangement: Arrangement,
    executor: str = "processes",
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> list[Outcome]:
    """As `run`, of a plan that is not kept: a part of a study's."""
    jobs = missing_jobs(planned, store, arrangement)
    if not jobs:
        return []
    follower, before = _Follower(jobs, planned, on_progress), {r.key for r in planned.runs if r.key in store}
    found = []
    for number, outcomes in EXECUTORS[executor].execute(jobs, arrangement.place.workers, follower):
        follower(number, jobs[number].runs[0].cell.recipe.epochs)
        new = [one for one in outcomes if one.key not in before]
        for one in new:
            if one.status == "failed":
                store.record_failure(one.key, one.reason or "no reason given")
        found += new
    return found


def check_device(device: str) -> None:
    """Refuses a device that torch cannot use here."""
    try:
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise PlanError(f"device {device!r} cannot be used here: {reason}. Use --device cpu.") from None


class _Follower:
    """Sums the epochs that jobs report into the share of the work that is done."""

    def __init__(self, jobs: list[Job], planned: Plan, on_progress: Callable[[Progress], None]) -> None:
        self._weights = [planned.training_flops(job.runs) for job in jobs]
        self._epochs = [job.runs[0].cell.recipe.epochs for job in jobs]
        self._sizes = [len(job.runs) for job in jobs]
        self._done = [0] * len(jobs)
        self._began, self._on_progress = time.monotonic(), on_progress

    def __call__(self, job: int, epoch: int) -> None:
        self._done[job] = epoch
        shares = [done / epochs for done, epochs in zip(self._done, self._epochs, strict=True)]
        self._on_progress(
            Progress(
                ended=sum(size for size, share in zip(self._sizes, shares, strict=True) if share == 1),
                missing=sum(self._sizes),
                share=sum(w * s for w, s in zip(self._weights, shares, strict=True)) / sum(self._weights),
                seconds=time.monotonic() - self._began,
            )
        )
