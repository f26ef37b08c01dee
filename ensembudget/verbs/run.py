"""Trains what a study lacks."""

from collections.abc import Callable, Sequence

from ..datasets._cache import open_cached
from ..errors import IncompleteError
from ..executors._base import Job, Outcome
from ..executors._spec import executor_of
from ..records import Plan, SteppingChoice
from ..stepping.arrange import Arrangement, as_given, as_known, autotuned, check_stepping
from ..store import Store
from .jobs import checkpoint_seconds, missing_cells, missing_jobs, rounding_jobs
from .missing import missing_runs, training_plan
from .probing import probe_jobs
from .progress import Follower, Progress
from .sharing import closed, shared


def arrange(
    planned: Plan,
    store: Store,
    *,
    executor: str = "processes",
    workers: int | None = None,
    threads: int | None = None,
    device: str = "cpu",
    stepping: SteppingChoice | None = None,
    measure: bool = True,
) -> Arrangement:
    """How a run's members will be stepped on this machine, autotuned where the run is long enough.

    Args:
        planned: What is to be trained.
        store: What of it is there; complete cells are not autotuned.
        executor: One of `ls executors`, perhaps with options: `ray:gpus=0.25`.
        workers: How many jobs at one time; None leaves it to the executor and autotuning.
        threads: Of each worker; None likewise.
        device: A torch device.
        stepping: What is given, over what the study gives.
        measure: Whether autotuning may measure; False takes what earlier runs have measured.

    Raises:
        UnknownPartError: No such executor or way to step.
        DeviceError: The executor's machines have no such device, or too few threads; fewer than one
            worker or thread.
        SteppingError: Members cannot be stepped as it was given.
        ArgumentError: The environment asks for checkpoints that cannot be.
    """
    checkpoint_seconds()  # like every fault of a request, told before a store is made
    part = executor_of(executor)
    fixed = (stepping or SteppingChoice()).over(planned.study.stepping)
    each = fixed.threads if threads is None else threads
    possible = part.places(device, workers, each)
    missing = missing_cells(training_plan(planned, store), store)
    if not missing:
        return as_given(missing, fixed, possible[0])
    cell = missing[0].cell
    task = planned.task or open_cached(cell.dataset_digest, cell.dataset).task
    check_stepping(missing, task, fixed, device)
    if not part.here:
        return as_given(missing, fixed, possible[0])
    tuned = autotuned if measure else as_known
    return tuned(planned.trained.cells, missing, task, fixed, possible)


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
    """Trains every planned member that the store lacks, or lacks weights of, and saves the plan.

    Members in other dtypes than float32 are made of trained ones, whose weights are kept for that.

    Args:
        planned: What to train. Its study's choices must be made: see `tune`.
        store: Where members are published.
        executor: One of `ls executors`, perhaps with options: `ray:gpus=0.25`.
        workers: How many jobs at one time; None leaves it to the executor.
        device: A torch device, as `cpu` or `cuda`.
        arrangement: From `arrange`, in place of `workers` and `device`; None calls it.
        on_progress: Called as epochs and jobs end.

    Returns:
        One outcome for each member that was trained or rounded now, here or by another run on this store; and
        for each that was stored before and was trained again, for its pack lacked another, where its logits
        were not the same.

    Raises:
        UnknownPartError: No such executor.
        DeviceError: The executor's machines have no such device; fewer than one worker.
        StoreError: The store cannot be written.
        IncompleteError: Choices are still to be made.
    """
    if planned.pending:
        raise IncompleteError(
            f"study {planned.study.name!r} has {len(planned.pending)} of {len(planned.tuning)} choices still"
            " to be made. Call `tune`, then plan the study again with its store."
        )
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
    *,
    repeat: bool = True,
) -> list[Outcome]:
    """Like `run`, without saving the plan: for a part of a study's.

    Unless `repeat`, stored members are not trained again for weights that were not kept.
    """
    store.sweep()
    training = training_plan(planned, store)
    again = repeat or training is not planned
    jobs = missing_jobs(training, store, arrangement, repeat=again)
    found = _done(jobs, training, store, executor, arrangement, on_progress)
    jobs = rounding_jobs(planned, store, arrangement.place)
    found += _done(jobs, planned, store, executor, arrangement, on_progress)
    store.settle(run.key for run in [*planned.runs, *training.runs])
    return found


def probe(
    planned: Plan,
    store: Store,
    *,
    executor: str = "processes",
    workers: int | None = None,
    device: str = "cpu",
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> list[Outcome]:
    """Measures the probes that the store lacks, at the members that it has.

    Args:
        planned: Of a study with `probes`, whose members were trained by `run`.
        store: Where members and probes are kept.
        executor: One of `ls executors`, perhaps with options: `ray:gpus=0.25`.
        workers: How many probes at one time; None leaves it to the executor.
        device: A torch device, as `cpu` or `cuda`.
        on_progress: Called as probes go on and end.

    Returns:
        One outcome for each probe that was measured now; none of pools that lack members.

    Raises:
        UnknownPartError: No such executor.
        DeviceError: The executor's machines have no such device; fewer than one worker.
        StoreError: The store cannot be written, or a member is damaged.
    """
    (place, *_) = executor_of(executor).places(device, workers, None)
    jobs = probe_jobs(planned, store, place)
    if not jobs:
        return []
    return do_jobs(jobs, [1.0] * len(jobs), store, set(), executor, place.workers, on_progress)


def _done(
    jobs: Sequence[Job],
    planned: Plan,
    store: Store,
    executor: str,
    arrangement: Arrangement,
    on_progress: Callable[[Progress], None],
) -> list[Outcome]:
    if not jobs:
        return []
    whole = {run.key for run in planned.runs} - {run.key for run in missing_runs(planned, store)}
    work = [planned.training_flops(job.runs) for job in jobs]
    return do_jobs(jobs, work, store, whole, executor, arrangement.place.workers, on_progress)


def do_jobs(
    jobs: Sequence[Job],
    work: Sequence[float],
    store: Store,
    whole: set[str],
    executor: str,
    workers: int,
    on_progress: Callable[[Progress], None],
) -> list[Outcome]:
    """How the members or probes of some jobs went but for those `whole` before; failures are written down.

    `work` is how much each job is, in any unit.
    """
    follower, found = Follower(jobs, work, on_progress), list[Outcome]()
    with closed(shared(jobs, store, executor_of(executor), workers, follower)) as ended:
        for _, outcomes in ended:
            new = [one for one in outcomes if one.key not in whole or one.status in ("kept", "conflict")]
            for one in new:
                if one.status == "failed":
                    store.record_failure(one.key, one.reason or "no reason given", one.log or "")
            found += new
    return found
