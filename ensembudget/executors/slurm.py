"""Jobs on a Slurm cluster whose machines share the store's and the cache's folders: job arrays by submitit.

Needs `pip install ensembudget[slurm]`. A job that is preempted, or runs into its time limit, is queued
again by submitit and goes on from the store; one that a node took with it is submitted again. With
`cluster=local` submitit runs the same jobs as processes of this machine, to try a command out.
"""

import os
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from ..datasets._cache import CACHE
from ..errors import ArgumentError, DeviceError, UnknownPartError, reason
from ..stepping.place import Place, check_device, check_numbers
from ._base import EpochReport, Executor, Job, OptionValue, Outcome
from ._pool import tail
from ._worker import lost, work

OPTIONS: dict[str, OptionValue] = {
    "cluster": "slurm",  # or local
    "partition": "",
    "account": "",
    "qos": "",
    "constraint": "",
    "minutes": 60,  # of each job
    "memory": 4.0,  # GB of each job
    "gpus": 1,  # of each job, where --device is cuda
    "requeues": 20,  # of a job that runs into its time limit; preemption does not count
    "retries": 2,  # of a job whose node or process died
    "folder": "slurm",  # submitit's scripts, pickled calls and logs
}
CLUSTERS = ("slurm", "local")
WORKERS = 32  # tasks of an array that run at one time where nobody says
ARRAY = 1000  # tasks of an array at most: Slurm's own limit is 1001 where it is not raised
EVERY = 1.0  # seconds between looks at the jobs


class Training:
    """What submitit calls on a node. It can be begun any number of times: the store knows what is done."""

    def __call__(self, job: str, cache: str | None) -> list[str]:
        """The outcomes of a job, all as JSON."""
        if cache:
            os.environ[CACHE] = cache
        return [outcome.to_json() for outcome in work(Job.from_json(job), lambda epoch: None)]

    def checkpoint(self, job: str, cache: str | None) -> Any:
        """What submitit queues again when Slurm takes the node away, or the time is up."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, job, cache)


def execute(
    jobs: Sequence[Job], workers: int, on_epoch: EpochReport, **options: Any
) -> Iterator[tuple[int, list[Outcome]]]:
    """As `Executor` says. However it ends, no job of it is left in the queue."""
    if not jobs:
        return
    asked: dict[str, Any] = {**OPTIONS, **options}
    executor = _executor(jobs[0], workers, asked)
    # submitit's local executor starts all that it is given at once; Slurm holds an array to its share.
    most = workers if asked["cluster"] == "local" else ARRAY
    left, tries, waiting = deque(range(len(jobs))), [0] * len(jobs), dict[int, Any]()
    try:
        while left or waiting:
            batch = [left.popleft() for _ in range(min(most - len(waiting), len(left)))]
            if batch:
                waiting |= zip(batch, _submitted(executor, [jobs[number] for number in batch]), strict=True)
            ended = [number for number, one in waiting.items() if one.done()]
            for number in ended:
                one, job = waiting.pop(number), jobs[number]
                tries[number] += 1
                found = _answer(one)
                if not isinstance(found, str):
                    yield number, found
                elif tries[number] <= asked["retries"]:
                    left.append(number)
                else:
                    reason = f"{found} Tried {tries[number]} times."
                    yield number, lost(job, reason, tail(one.stderr() or ""))
            if not ended:
                time.sleep(EVERY)
    finally:
        _cancel(list(waiting.values()), asked["cluster"])


def _executor(job: Job, workers: int, asked: dict[str, Any]) -> Any:
    submitit = _imported()
    cluster, requeues = asked["cluster"], asked["requeues"]
    executor = submitit.AutoExecutor(
        asked["folder"], cluster, slurm_max_num_timeout=requeues, local_max_num_timeout=requeues
    )
    named = {f"slurm_{name}": asked[name] for name in ("partition", "account", "qos", "constraint")}
    executor.update_parameters(
        name="ensembudget",
        timeout_min=asked["minutes"],
        mem_gb=asked["memory"],
        cpus_per_task=job.threads,
        gpus_per_node=asked["gpus"] if job.device == "cuda" else None,
        slurm_array_parallelism=workers,
        slurm_additional_parameters={"requeue": True},  # as clusters may have it off
        **{name: value for name, value in named.items() if value},
    )
    return executor


def _submitted(executor: Any, jobs: Sequence[Job]) -> list[Any]:
    """Hands jobs to Slurm.

    Raises:
        DeviceError: It refuses them: no such partition or account, say.
    """
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    texts, caches = [job.to_json() for job in jobs], [os.environ.get(CACHE)] * len(jobs)
    try:
        return list(executor.map_array(Training(), texts, caches))
    except (FailedJobError, FailedSubmissionError) as error:
        raise DeviceError(f"Slurm refuses the jobs: {reason(error)}.") from None


def _answer(one: Any) -> list[Outcome] | str:
    """The outcome of a job that has ended, or why it is unknown."""
    from submitit.core.utils import FailedJobError, UncompletedJobError

    name = f"its Slurm job {one.job_id}"
    try:
        return [Outcome.from_json(text) for text in one.result()]
    except UncompletedJobError:
        return f"{name} ended without an answer (state {one.state})."
    except FailedJobError as error:
        last = [line for line in str(error).splitlines() if "Error" in line and not line.startswith(" ")]
        return f"{name} raised: {(last or ['it does not say what'])[-1]}."


def _cancel(waiting: Sequence[Any], cluster: str) -> None:
    """Ends what still runs or waits: arrays as a whole, for there may be hundreds of tasks."""
    if cluster == "slurm":
        arrays = sorted({one.job_id.partition("_")[0] for one in waiting})
        if arrays:
            subprocess.run(["scancel", *arrays], check=False, capture_output=True)
        return
    for one in waiting:
        one.cancel()
    for one in waiting:
        while not one.done():
            time.sleep(0.05)


def places(device: str, workers: int | None, threads: int | None, **options: Any) -> list[Place]:
    """One place: so many tasks of an array at one time, of one thread unless more are asked.

    Raises:
        ArgumentError: An option that cannot be.
        UnknownPartError: submitit is not installed.
        DeviceError: This machine has no Slurm, or such a job could not be described to it.
    """
    asked: dict[str, Any] = {**OPTIONS, **options}
    check_numbers(workers, threads)
    _check(asked)
    _imported()
    local = asked["cluster"] == "local"
    if local:
        check_device(device)
    elif missing := [name for name in ("sbatch", "srun", "sacct", "scancel") if shutil.which(name) is None]:
        raise DeviceError(
            f"executor 'slurm' needs the commands of Slurm, and {', '.join(missing)} cannot be found here."
            " Run it on a login node of the cluster, try it out with --executor slurm:cluster=local, or use"
            " --executor processes."
        )
    elif device not in ("cpu", "cuda"):
        raise DeviceError(
            f"device {device!r} cannot be asked of Slurm, which chooses each job's. Use cpu or cuda."
        )
    usual = (os.cpu_count() or 1) if local else WORKERS
    return [Place(device=device, workers=workers or usual, threads=threads or 1)]


def _check(asked: dict[str, Any]) -> None:
    if asked["cluster"] not in CLUSTERS:
        raise ArgumentError(
            f"option cluster = {asked['cluster']!r} of executor 'slurm' is none of {', '.join(CLUSTERS)}."
        )
    for name, least in (("minutes", 1), ("memory", 0.1), ("gpus", 1), ("requeues", 0), ("retries", 0)):
        if not asked[name] >= least:
            raise ArgumentError(
                f"option {name} = {asked[name]} of executor 'slurm' is below {least}, the least."
            )


def _imported() -> Any:
    try:
        import submitit
    except ImportError:
        raise UnknownPartError(
            "executor 'slurm' needs the package submitit, which is not installed: pip install"
            " 'ensembudget[slurm]', or use --executor processes."
        ) from None
    return submitit


executor = Executor(execute, places, here=False, options=OPTIONS)
