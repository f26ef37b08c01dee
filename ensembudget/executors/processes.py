"""Jobs on several processes of this machine, one thread each: 1.3 to 1.5 times faster than threads.

Measured on two cores, WRN-10 at 8x8 and 32x32: one thread a process on two processes against two
threads in one. With `--device cuda` every GPU has a process.
"""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from ..errors import ArgumentError
from ..stepping.place import Place, devices
from ..stepping.place import places as places_here
from ._base import EpochReport, Executor, Job, Outcome
from ._pool import Call, Lost, pooled
from ._worker import lost, work

RETRIES = 2  # of a job whose process died, where nobody says


def execute(
    jobs: Sequence[Job], workers: int, on_epoch: EpochReport, *, retries: int = RETRIES
) -> Iterator[tuple[int, list[Outcome]]]:
    """As `Executor` says; a job whose process dies is begun again `retries` times, after the others."""
    gpus = torch.cuda.device_count() if jobs and jobs[0].device == "cuda" else 0
    tasks = [(job.to_json(), devices(job.device, gpus)) for job in jobs]
    for number, answer in pooled(_work, tasks, workers, on_epoch, retries):
        job = jobs[number]
        yield number, lost(job, _reason(answer), answer.log) if isinstance(answer, Lost) else answer


def _work(call: Call, report: Callable[[Any], None]) -> list[Outcome]:
    """In a worker: one job, on the worker's device."""
    text, among = call.task
    device = among[call.worker % len(among)]
    if device.startswith("cuda:"):
        torch.cuda.set_device(device)  # what a library allocates without being told where
    outcomes = work(Job.from_json(text).model_copy(update={"device": device}), report)
    if call.tries:  # what it finds may be what it published before it died
        outcomes = [one.model_copy(update={"by_other": False}) for one in outcomes]
    return outcomes


def _reason(found: Lost) -> str:
    """Why the process of a job died.

    >>> _reason(Lost(3, -9, ""))
    'its process was killed by SIGKILL, perhaps for memory: run again with fewer --workers. Tried 3 times.'
    >>> _reason(Lost(1, -11, ""))
    'its process crashed by SIGSEGV. Tried 1 time.'
    """
    tried = f"Tried {found.tries} time{'s' * (found.tries != 1)}."
    if found.exitcode >= 0:
        return f"its process ended with exit code {found.exitcode}. {tried}"
    name = signal.Signals(-found.exitcode).name
    if name == "SIGKILL":
        return (
            f"its process was killed by {name}, perhaps for memory: run again with fewer --workers. {tried}"
        )
    return f"its process {'was killed' if name in ('SIGTERM', 'SIGINT') else 'crashed'} by {name}. {tried}"


def places(device: str, workers: int | None, threads: int | None, *, retries: int = RETRIES) -> list[Place]:
    """As `Executor` says: a process on every core, or on every GPU where `cuda` is asked.

    Raises:
        DeviceError: torch cannot use the device, or there is less than one worker or thread.
        ArgumentError: Fewer than no retries.
    """
    if retries < 0:
        raise ArgumentError(f"option retries = {retries} of executor 'processes' is below 0, no retries.")
    if not device.startswith("cuda"):
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return places_here(device, workers, threads, usual=cores)
    # One process feeds a GPU, and one process of several threads feeds no more of them.
    return places_here(device, workers, threads, usual=len(devices(device, torch.cuda.device_count())))[:1]


executor = Executor(execute, places, options={"retries": RETRIES})
