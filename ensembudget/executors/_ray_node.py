"""Runs one job on a node of a Ray cluster, with its inputs made available and only with the driver's code.

Nothing of ours is pickled: jobs and outcomes are JSON, datasets and members are bytes by name.
"""

import contextlib
import os
import platform
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from ..datasets._cache import CACHE, cache_folder, has_cached, keep_bytes
from ..errors import EnsembudgetError, StoreError
from ..records import Record
from ..rendering.manifest import source_digest
from ..store import Store
from ..store.carrying import Carried, published, unpack
from ._base import Job, Outcome
from ._worker import work

Shared = Literal["auto", "yes", "no"]
REPORT_SECONDS = 1.0  # between two reports of a job's epochs


class Errand(Record):
    """A job, and what its node must know about the driver.

    Attributes:
        job: What is to be done.
        shared: Whether the node sees the driver's folders: `yes`, `no`, or `auto` to look.
        marker: A folder in the store that only this driver's run has.
        cache: The driver's folder of decoded datasets.
        source: The digest of the driver's source.
    """

    job: Job
    shared: Shared
    marker: str
    cache: str
    source: str


def work_on_node(errand: str, data: list[Any], members: list[Any]) -> Iterator[int | Carried | list[str]]:
    """Does a job and yields epochs as they are done, then what it published elsewhere, then outcomes.

    Args:
        errand: An `Errand` as JSON.
        data: A reference to the bytes of the job's dataset, for a node whose cache lacks it.
        members: References to the files of members that the job reads, for a node without the store.
    """
    asked = Errand.from_json(errand)
    job = asked.job
    try:
        _check_source(asked.source)
        with _data_at_hand(asked, data), _store_at_hand(asked, members) as (local, given):
            outcomes: list[Outcome] = []
            yield from _reported(local, outcomes)
            if local is not job:
                yield from published(Path(local.store), given)
    except EnsembudgetError as error:
        outcomes = job.failed(f"on node {platform.node()}: {error}")
    yield [one.to_json() for one in outcomes]


def _check_source(asked: str) -> None:
    if source_digest() != asked:
        raise StoreError(
            f"{str(Path(__file__).parents[1])!r} is not the same source as the driver's. Remove it from the"
            " node's PYTHONPATH; or, where this process had joined the cluster by itself, call ray.shutdown()"
            " first."
        )


def _reported(job: Job, outcomes: list[Outcome]) -> Iterator[int]:
    """Does the job in a thread, and yields how much of it is done; its outcomes are appended."""
    done = [0]

    def whole() -> None:
        outcomes.extend(work(job, lambda epoch: done.__setitem__(0, epoch)))

    thread, told = threading.Thread(target=whole, daemon=True), 0
    thread.start()
    while thread.is_alive():
        thread.join(REPORT_SECONDS)
        if done[0] != told:
            yield (told := done[0])


@contextlib.contextmanager
def _data_at_hand(asked: Errand, data: list[Any]) -> Iterator[None]:
    """The cache in which the dataset lies: the driver's, the node's own, or one for this job.

    Raises:
        DatasetError: What the driver sent does not match its digest.
    """
    digest, own = asked.job.runs[0].cell.dataset_digest, cache_folder()
    with contextlib.ExitStack() as stack:
        folders = [own] if asked.shared == "no" else [Path(asked.cache), own]
        there = next((one for one in folders if has_cached(one, digest)), None)
        if there is None:
            content, there = _fetched(data)[0], own
            try:
                keep_bytes(there, digest, content)
            except OSError:  # no home on this node, or one that cannot be written
                there = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ensembudget-")))
                keep_bytes(there, digest, content)
        before = os.environ.get(CACHE)
        os.environ[CACHE] = str(there)
        try:
            yield
        finally:  # the process does other jobs after this one
            del os.environ[CACHE]
            if before is not None:
                os.environ[CACHE] = before


@contextlib.contextmanager
def _store_at_hand(asked: Errand, members: list[Any]) -> Iterator[tuple[Job, Carried]]:
    """The job as it stands where the store is seen, or in a store of its own, and what was laid in that.

    A store of a job that was killed is removed by the next one that needs one on the node.
    """
    if asked.shared == "yes" or (asked.shared == "auto" and os.access(asked.marker, os.W_OK)):
        yield asked.job, {}
        return
    with contextlib.ExitStack() as stack:
        try:
            jobs = Store(cache_folder() / "jobs")
            jobs.sweep()
            folder = stack.enter_context(jobs.staging())
        except StoreError:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ensembudget-")))
        given: Carried = {}
        for files in _fetched(members):
            unpack(folder, files)
            given |= dict.fromkeys(files, b"")
        yield asked.job.model_copy(update={"store": str(folder)}), given


def _fetched(references: list[Any]) -> list[Any]:
    import ray

    return list(ray.get(references))
