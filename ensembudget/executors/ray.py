"""Jobs on a Ray cluster whose machines share the store's and the cache's folders.

Needs `pip install ensembudget[ray]`. Starts Ray on this machine where no cluster is running. A lost
worker's job is run again, at most three times; publishing twice is harmless.
"""

import logging
import os
from collections.abc import Iterator, Sequence

from ..errors import PlanError
from ._base import EpochReport, Executor, Job, Outcome
from ._worker import work


def _work(job: str) -> list[str]:
    return [outcome.to_json() for outcome in work(Job.from_json(job), lambda epoch: None)]


def execute(jobs: Sequence[Job], workers: int, on_epoch: EpochReport) -> Iterator[tuple[int, list[Outcome]]]:
    try:
        import ray
    except ImportError:
        raise PlanError(
            "executor 'ray' needs the package ray, which is not installed: pip install 'ensembudget[ray]',"
            " or use --executor processes."
        ) from None
    if not jobs:
        return
    gpus = 1 if any(job.device.startswith("cuda") for job in jobs) else 0
    ours = not ray.is_initialized()
    if ours:
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    remote = ray.remote(num_cpus=jobs[0].threads, num_gpus=gpus, max_retries=3)(_work)
    waiting = {remote.remote(job.to_json()): number for number, job in enumerate(jobs)}
    try:
        while waiting:
            ended, _ = ray.wait(list(waiting), num_returns=1)
            number = waiting.pop(ended[0])
            try:
                yield number, [Outcome.from_json(text) for text in ray.get(ended[0])]
            except ray.exceptions.RayError as error:
                reason = f"{type(error).__name__}: {str(error).splitlines()[0]}"
                yield (
                    number,
                    [Outcome(key=run.key, status="failed", reason=reason) for run in jobs[number].runs],
                )
            on_epoch(number, jobs[number].runs[0].cell.recipe.epochs)
    finally:
        if ours:
            ray.shutdown()


executor = Executor(execute, lambda device: os.cpu_count() or 1, here=False)
