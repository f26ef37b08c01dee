"""Jobs on a Ray cluster, whether or not its machines share the store, the cache or this code.

Needs `pip install ensembudget[ray]`. Joins the cluster at `address`, that `RAY_ADDRESS` names or that runs on
this machine; starts Ray here where there is none. Nodes get this package's source and the dataset with their
jobs. A node that does not see the store sends what it trained to the driver, which checks and publishes it.
"""

import os
import shutil
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast, get_args

from ..datasets._cache import cache_folder, cached_bytes
from ..errors import ArgumentError, ClusterError, DatasetError, told
from ..rendering.manifest import source_digest
from ..stepping.place import Place, check_numbers
from ..stepping.place import places as places_here
from ..store import Store
from ..store.carrying import carried, unpack
from ._base import EpochReport, Executor, Job, Outcome
from ._ray_cluster import Need, call, checked_room, joined, need, nodes_of, room, started
from ._ray_node import Errand, Shared, work_on_node
from ._shipping import code_to_ship
from ._worker import lost

POLL = 2.0  # seconds without news after which the cluster is looked at
PATIENCE = 300.0  # seconds that jobs wait for a node that could run them, after the last one was lost
RESUME = "What was published stays: rerun the same command to resume."


@dataclass(frozen=True)
class Options:
    """The options of this executor.

    Attributes:
        address: Of a running cluster, host:port.
        gpus: The share of a GPU that a job on `cuda` takes.
        shared: Whether nodes see the store's and the cache's folders: yes, no, or auto to look.
        retries: How often a job may be done again that was lost with its worker or node. That is harmless:
            of two who publish a member the first wins.

    Raises:
        ArgumentError: No such value.
    """

    address: str = ""
    gpus: float = 1.0
    shared: str = "auto"
    retries: int = 3

    def __post_init__(self) -> None:
        if self.shared not in get_args(Shared):
            raise ArgumentError(
                f"option shared = {told(self.shared)} of executor 'ray' must be auto, yes or no."
            )
        if self.retries < 0:
            raise ArgumentError(f"option retries = {self.retries} of executor 'ray' is below 0.")


def execute(
    jobs: Sequence[Job], workers: int, on_epoch: EpochReport, **options: Any
) -> Iterator[tuple[int, list[Outcome]]]:
    if not jobs:
        return
    asked, store = Options(**options), Store(jobs[0].store)
    with (
        _cluster(asked.address, workers * max(job.threads for job in jobs)) as ray,
        store.staging() as staged,
    ):
        yield from _Driver(ray, jobs, store, staged, asked).run(workers, on_epoch)


def places(device: str, workers: int | None, threads: int | None, **options: Any) -> list[Place]:
    """One place: as many jobs at one time as the cluster has room for, of one thread unless more are asked.

    Raises:
        DeviceError: No node of the cluster has room for such a job, or no cluster answers.
        ArgumentError: An option has no such value.
    """
    check_numbers(workers, threads)
    asked = Options(**options)
    each = need(device, threads or 1, asked.gpus)
    with joined(asked.address) as ray:
        if ray is None:
            return places_here(device, workers, each.threads, usual=os.cpu_count() or 1)
        found = checked_room(nodes_of(ray), each)
        return [Place(device=device, workers=workers or found, threads=each.threads)]


@contextmanager
def _cluster(address: str, cpus: int) -> Iterator[Any]:
    """The module ray, connected: to a running cluster, with our code sent to it, or to one started here."""
    with ExitStack() as stack:
        with code_to_ship() as code:  # sent as it is joined
            ray = stack.enter_context(joined(address, runtime_env={"working_dir": str(code)}))
        yield ray or stack.enter_context(started(cpus))


class _Driver:
    """Hands out jobs, at most as many as there are workers, and takes in what comes."""

    def __init__(self, ray: Any, jobs: Sequence[Job], store: Store, staged: Path, asked: Options) -> None:
        self._ray, self._jobs, self._store, self._staged, self._asked = ray, jobs, store, staged, asked
        # Retried here and not by Ray, which does not count what was lost for memory or with its answer.
        self._remote = ray.remote(max_retries=0, num_returns="streaming")(work_on_node)
        self._source, self._cache = source_digest(), str(cache_folder().absolute())
        self._head = ray.get_runtime_context().gcs_address
        self._data: dict[str, Any] = {}
        self._lost = Counter[int]()

    def run(self, workers: int, on_epoch: EpochReport) -> Iterator[tuple[int, list[Outcome]]]:
        left, running = deque(range(len(self._jobs))), dict[Any, int]()
        heard = time.monotonic()
        while left or running:
            while left and len(running) < workers:
                number = left.popleft()
                try:
                    running[self._start(number)] = number
                except (DatasetError, OSError) as error:
                    yield number, self._jobs[number].failed(str(error))
            ready, _ = self._ray.wait([*running], num_returns=1, timeout=POLL) if running else ([], [])
            if not ready:
                self._check_cluster(heard, [self._jobs[number] for number in running.values()])
                continue
            heard, number = time.monotonic(), running[ready[0]]
            news = self._news(ready[0], number)
            if isinstance(news, int):
                on_epoch(number, news)
            elif news is not None:
                del running[ready[0]]
                if news:
                    yield number, news
                else:
                    left.appendleft(number)

    def _start(self, number: int) -> Any:
        """Sends a job off; its dataset once for all jobs, and members that it reads unless they are seen."""
        job, cell = self._jobs[number], self._jobs[number].runs[0].cell
        if cell.dataset_digest not in self._data:
            self._data[cell.dataset_digest] = self._ray.put(cached_bytes(cell.dataset_digest, cell.dataset))
        members = []
        if self._asked.shared != "yes" and (read := _read_by(job)):
            members.append(self._ray.put(carried(self._store.root, read)))
        shared, marker = cast("Shared", self._asked.shared), str(self._staged)
        errand = Errand(job=job, shared=shared, marker=marker, cache=self._cache, source=self._source)
        needs = self._need(job)
        remote = self._remote.options(num_cpus=needs.threads, num_gpus=needs.gpus)
        return remote.remote(errand.to_json(), [self._data[cell.dataset_digest]], members)

    def _news(self, stream: Any, number: int) -> int | list[Outcome] | None:
        """The next report of a job: progress or outcomes; none if it must be redone."""
        job, errors = self._jobs[number], self._ray.exceptions
        try:
            said = self._ray.get(next(stream))
        except StopIteration:
            return self._again(number, "its worker ended without an answer")
        except errors.RuntimeEnvSetupError as error:
            return job.failed(_first_line(error))
        except errors.RayError as error:  # lost with its worker, its node, what it was sent or its answer
            if isinstance(error, errors.RayTaskError) and not isinstance(error.cause, errors.RayError):
                return job.failed(_first_line(error))  # raised by what would raise it again
            return self._again(number, _first_line(error))
        if isinstance(said, int):
            return said
        if isinstance(said, dict):
            unpack(self._staged / str(number), said)
            return None
        return self._published(number, [Outcome.from_json(text) for text in said])

    def _again(self, number: int, reason: str) -> list[Outcome]:
        """No outcomes, for another try; or failures after the last."""
        self._check_head()
        shutil.rmtree(self._staged / str(number), ignore_errors=True)
        self._lost[number] += 1
        if self._lost[number] <= self._asked.retries:
            return []
        return lost(
            self._jobs[number],
            f"lost {self._lost[number]} times, and retries = {self._asked.retries}; the last time: {reason}",
        )

    def _published(self, number: int, outcomes: list[Outcome]) -> list[Outcome]:
        """Publishes what a node without the shared store sent, and reports what was refused."""
        folder = self._staged / str(number)
        if not folder.exists():  # the node published it, or there is nothing
            return outcomes
        taken = self._store.merge(Store(folder))
        shutil.rmtree(folder, ignore_errors=True)
        if damaged := next((one for one in taken if one.outcome == "unreadable"), None):
            return self._again(number, f"{damaged.kind} {damaged.name} came damaged ({damaged.why})")
        refused = {one.name: f"conflict: {one.why}" for one in taken if one.outcome == "conflict"}
        here = {one.name for one in taken}
        return [
            one
            if one.status == "failed" or (one.key in here and one.key not in refused)
            else Outcome(
                key=one.key, status="failed", reason=refused.get(one.key, "its node did not send it")
            )
            for one in outcomes
        ]

    def _check_head(self) -> None:
        try:
            call(self._head)
        except OSError as error:
            raise ClusterError(
                f"the head of the Ray cluster, {self._head}, was lost ({error}). {RESUME}"
            ) from None

    def _need(self, job: Job) -> Need:
        return need(job.device, job.threads, self._asked.gpus)

    def _check_cluster(self, heard: float, jobs: Sequence[Job]) -> None:
        """Raises where the head is lost, or no node that could run a job has been there for long.

        Raises:
            ClusterError: Nothing more can come of this run.
        """
        self._check_head()
        if time.monotonic() - heard < PATIENCE:
            return
        nodes = nodes_of(self._ray)
        for needs in map(self._need, jobs):
            if not room(nodes, needs):
                raise ClusterError(
                    f"no node of the Ray cluster that could run a job of {needs} has been there for"
                    f" {PATIENCE:g} seconds. {RESUME}"
                )


def _read_by(job: Job) -> list[str]:
    """Members whose logits or weights a job reads."""
    if job.probe:
        return [run.key for run in job.runs]
    return [] if job.runs[0].cell.is_trained else [run.trained.key for run in job.runs]


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {[*str(error).strip().splitlines(), ''][0]}"


executor = Executor(execute, places, here=False, options=asdict(Options()))
