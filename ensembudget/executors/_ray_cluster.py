"""A Ray cluster as the driver sees it: joined or started here, its nodes, and whether it still answers."""

import logging
import math
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from ..errors import DeviceError, UnknownPartError, told

SECONDS = 10.0  # that a cluster may take to answer
OPTIONS = {"log_to_driver": False, "logging_level": logging.ERROR}
LOCAL = "local"  # as RAY_ADDRESS has it: Ray is started here, whatever runs

Node = dict[str, float]


class Need(NamedTuple):
    """What a job needs of a node: CPUs, and a share of one GPU."""

    threads: int
    gpus: float

    def __str__(self) -> str:
        gpu = "" if not self.gpus else " and a GPU" if self.gpus == 1 else f" and {self.gpus:g} of a GPU"
        return f"{self.threads} thread{'s' * (self.threads > 1)}{gpu}"


def need(device: str, threads: int, gpus: float) -> Need:
    """What a job of this device needs: Ray shows each job its own GPU as `cuda`.

    Raises:
        DeviceError: No such device, a certain GPU, or a share that no job can have.

    Example:
        >>> need("cuda", 2, 0.25), need("cpu", 1, 0.25).gpus
        (Need(threads=2, gpus=0.25), 0.0)
    """
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise DeviceError(f"device {device!r} is none: {str(error).splitlines()[0]}") from None
    if found.type == "cuda" and found.index:
        raise DeviceError(
            f"device {device!r} cannot be asked for: Ray chooses each job's GPU. Use --device cuda."
        )
    if not 0.01 <= gpus <= 1:
        raise DeviceError(
            f"gpus = {gpus:g} of executor 'ray' must be from 0.01 to 1, the share of one GPU that"
            " a job takes."
        )
    return Need(threads, gpus if found.type == "cuda" else 0.0)


def room(nodes: Sequence[Node], need: Need) -> int:
    """Jobs that all nodes together can run at one time: each GPU is shared by whole jobs.

    Example:
        >>> room([{"CPU": 16, "GPU": 2}, {"CPU": 3, "GPU": 1}], Need(1, 0.4))
        6
    """
    return sum(_room_of(node, need) for node in nodes)


def _room_of(node: Node, need: Need) -> int:
    jobs = int(node.get("CPU", 0) // need.threads)
    if need.gpus:
        jobs = min(jobs, int(node.get("GPU", 0)) * math.floor(1 / need.gpus + 1e-9))
    return jobs


def checked_room(nodes: Sequence[Node], need: Need) -> int:
    """As `room`.

    Raises:
        DeviceError: No node can ever run such a job.
    """
    if found := room(nodes, need):
        return found
    there = "; ".join(f"{node.get('CPU', 0):g} CPUs, {node.get('GPU', 0):g} GPUs" for node in nodes)
    most = max((node.get("CPU", 0) for node in nodes), default=0)
    raise DeviceError(
        f"no node of the Ray cluster can run a job of {need}; its nodes have {there or 'nothing'}."
        + (" Use --device cpu." if need.gpus and not any(node.get("GPU") for node in nodes) else "")
        + (f" Use --threads {most:g} or fewer." if 1 <= most < need.threads else "")
    )


@contextmanager
def joined(address: str, **options: Any) -> Iterator[Any]:
    """The module ray, connected for a while to the cluster of an address; None where none runs.

    Args:
        address: `host:port`; empty for RAY_ADDRESS, or else the one that runs on this machine.
        options: More for `ray.init`.

    Raises:
        DeviceError: Nobody answers there, or the cluster cannot be joined.
        UnknownPartError: Ray is not installed.
    """
    ray = imported()
    ours = not ray.is_initialized()
    if ours and not _join(ray, address, options):
        yield None
        return
    try:
        yield ray
    finally:
        if ours:
            ray.shutdown()


def _join(ray: Any, address: str, options: dict[str, Any]) -> bool:
    """Joins the cluster that is named, or that runs here; whether there is one."""
    named = address or os.environ.get("RAY_ADDRESS", "")
    if named == LOCAL:
        return False
    where = f"address {told(named)}" if address else f"RAY_ADDRESS {told(named)}"
    try:
        if named:
            call(named)
        ray.init(named or "auto", **OPTIONS, **options)
    except OSError as error:  # nobody answers
        if named:
            raise DeviceError(f"no Ray cluster answers at {where}: {error}") from None
        return False
    except (RuntimeError, ValueError, ray.exceptions.RayError) as error:  # another version, or no token
        raise DeviceError(
            f"the running Ray cluster cannot be joined: {' '.join(str(error).split())}"
        ) from None
    return True


@contextmanager
def started(cpus: int) -> Iterator[Any]:
    """The module ray, started on this machine for a while, with a token of the user's."""
    ray = imported()
    ray.init(LOCAL, num_cpus=cpus, include_dashboard=False, **OPTIONS)
    try:
        yield ray
    finally:
        ray.shutdown()


def nodes_of(ray: Any) -> list[Node]:
    """The resources of the nodes."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def call(address: str) -> None:
    """Raises `OSError` where nobody answers at host:port; Ray itself tries again for minutes."""
    host, _, port = address.rpartition(":")
    if "://" not in address and port.isdigit():
        socket.create_connection((host, int(port)), SECONDS).close()


def imported() -> Any:
    try:
        import ray
    except ImportError:
        raise UnknownPartError(
            "executor 'ray' needs the package ray, which is not installed: pip install 'ensembudget[ray]',"
            " or use --executor processes."
        ) from None
    return ray
