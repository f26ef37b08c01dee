"""Jobs on a Ray cluster whose machines share the store's and the cache's folders.

Needs `pip install ensembudget[ray]`. Joins the cluster that `RAY_ADDRESS` names or that runs on this
machine; starts Ray here where there is none. A lost worker's job is run again, at most three times;
publishing twice is harmless.
"""

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch

from ..errors import DeviceError, UnknownPartError
from ..stepping.place import Place, check_numbers
from ..stepping.place import places as places_here
from ._base import EpochReport, Executor, Job, Outcome
from ._worker import work

SECONDS = 10.0  # that a cluster may take to answer
CACHE = "ENSEMBUDGET_CACHE"
OPTIONS = {"log_to_driver": False, "logging_level": logging.ERROR}


def execute(jobs: Sequence[Job], workers: int, on_epoch: EpochReport) -> Iterator[tuple[int, list[Outcome]]]:
    if not jobs:
        return
    ray, threads = _imported(), jobs[0].threads
    with _joined() as nodes:
        if nodes is None:
            ray.init("local", num_cpus=workers * threads, include_dashboard=False, **OPTIONS)
        try:
            remote = ray.remote(num_cpus=threads, num_gpus=_gpus(jobs[0].device), max_retries=3)(_work)
            left = iter(enumerate(jobs))
            waiting: dict[Any, int] = {}
            while True:
                for number, job in islice(left, workers - len(waiting)):
                    waiting[remote.remote(job.to_json(), os.environ.get(CACHE))] = number
                if not waiting:
                    return
                (ended,), _ = ray.wait(list(waiting), num_returns=1)
                number = waiting.pop(ended)
                yield number, _outcomes(ray, ended, jobs[number])
                on_epoch(number, jobs[number].length)
        finally:
            if nodes is None:
                ray.shutdown()


def _work(job: str, cache: str | None) -> list[str]:
    if cache:  # a running cluster has an environment of its own
        os.environ[CACHE] = cache
    return [outcome.to_json() for outcome in work(Job.from_json(job), lambda epoch: None)]


def _outcomes(ray: Any, ended: Any, job: Job) -> list[Outcome]:
    try:
        return [Outcome.from_json(text) for text in ray.get(ended)]
    except ray.exceptions.RayError as error:
        reason = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        return job.failed(reason)


def places(device: str, workers: int | None, threads: int | None) -> list[Place]:
    """One place: as many jobs at one time as the cluster has room for, of one thread unless more are asked.

    Raises:
        DeviceError: No node of the cluster has room for such a job.
    """
    check_numbers(workers, threads)
    each = threads or 1
    with _joined() as nodes:
        if nodes is None:
            return places_here(device, workers, each, usual=os.cpu_count() or 1)
        room = _room(nodes, each, _gpus(device))
        return [Place(device=device, workers=workers or room, threads=each)]


def _room(nodes: Sequence[dict[str, float]], threads: int, gpus: int) -> int:
    """Jobs that all nodes together can run at one time."""
    room = sum(
        int(min(node.get("CPU", 0) // threads, node.get("GPU", 0) if gpus else float("inf")))
        for node in nodes
    )
    if room:
        return room
    asked = f"{threads} thread{'s' * (threads > 1)}" + " and a GPU" * gpus
    there = "; ".join(f"{node.get('CPU', 0):g} CPUs, {node.get('GPU', 0):g} GPUs" for node in nodes)
    raise DeviceError(
        f"no node of the Ray cluster can run a job of {asked}; its nodes have {there or 'nothing'}."
        + (" Use --device cpu." if gpus and not any(node.get("GPU") for node in nodes) else "")
        + (
            f" Use --threads {most:g} or fewer."
            if threads > (most := max(n.get("CPU", 0) for n in nodes))
            else ""
        )
    )


def _gpus(device: str) -> int:
    """How many GPUs a job needs: Ray shows each job its own as `cuda`."""
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise DeviceError(f"device {device!r} is none: {str(error).splitlines()[0]}") from None
    if found.type == "cuda" and found.index:
        raise DeviceError(
            f"device {device!r} cannot be asked for: Ray chooses each job's GPU. Use --device cuda."
        )
    return int(found.type == "cuda")


@contextmanager
def _joined() -> Iterator[list[dict[str, float]] | None]:
    """What the nodes of a running cluster have, joined for a while; None where no cluster runs."""
    ray = _imported()
    ours = not ray.is_initialized()
    if ours and not _join(ray):
        yield None
        return
    try:
        yield [node["Resources"] for node in ray.nodes() if node["Alive"]]
    finally:
        if ours:
            ray.shutdown()


def _join(ray: Any) -> bool:
    """Joins the cluster that the environment names, or that runs here; whether there is one."""
    named = os.environ.get("RAY_ADDRESS")
    if named == "local":
        return False
    try:
        if named:
            _call(named)
        ray.init("auto", **OPTIONS)
    except OSError as error:  # nobody answers
        if named:
            raise DeviceError(f"no Ray cluster answers at RAY_ADDRESS {named!r}: {error}") from None
        return False
    except RuntimeError as error:  # another version of Ray or Python, say
        raise DeviceError(
            f"the running Ray cluster cannot be joined: {' '.join(str(error).split())}"
        ) from None
    return True


def _call(address: str) -> None:
    """Raises where nobody answers at host:port; Ray itself tries again for minutes."""
    host, _, port = address.rpartition(":")
    if "://" not in address and port.isdigit():
        socket.create_connection((host, int(port)), SECONDS).close()


def _imported() -> Any:
    try:
        import ray
    except ImportError:
        raise UnknownPartError(
            "executor 'ray' needs the package ray, which is not installed: pip install 'ensembudget[ray]',"
            " or use --executor processes."
        ) from None
    return ray


executor = Executor(execute, places, here=False)
