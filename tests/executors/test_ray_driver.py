"""The driver's part of the Ray executor, on a made-up cluster whose workers are lost where a test says."""

import itertools
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ensembudget import studies
from ensembudget.datasets._cache import cache_folder, cached_bytes
from ensembudget.errors import ArgumentError, ClusterError, DeviceError
from ensembudget.executors import _ray_node
from ensembudget.executors import ray as executor
from ensembudget.executors._base import Outcome
from ensembudget.executors._ray_cluster import Need, need, room
from ensembudget.executors._ray_node import Errand, work_on_node
from ensembudget.executors.ray import Options, _Driver
from ensembudget.records import Plan
from ensembudget.rendering.manifest import source_digest
from ensembudget.store import Store
from ensembudget.verbs.jobs import missing_jobs, rounding_jobs
from ensembudget.verbs.missing import training_plan
from ensembudget.verbs.plan import plan_study
from ensembudget.verbs.run import arrange, run
from helpers import THREE_PACKS, publish, trained_as

ray = pytest.importorskip("ray")
# Importing Ray is what gives these.
pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")]

STUDY = THREE_PACKS.replace("[recipe]", "keep_weights = true\n\n[recipe]")
ROUNDED = THREE_PACKS.replace(
    "budgets = [5178]", 'budget_kind = "bytes"\nbudgets = ["21kB"]\ndtype = ["float32", "int8"]'
)
LOST = ray.exceptions.WorkerCrashedError()
SAID = f"WorkerCrashedError: {LOST}"


class Cluster:
    """What the driver uses of the module ray; `breaks` says by start what each worker's stream becomes."""

    exceptions = ray.exceptions

    def __init__(self, head: str, breaks: dict[int, Any]) -> None:
        self.head, self.breaks, self.nodes_there = head, breaks, [{"CPU": 2.0}]
        self.started: list[Errand] = []
        self.most = 0
        self.running = 0

    def remote(self, **options: Any) -> Any:
        assert options == {"max_retries": 0, "num_returns": "streaming"}
        return lambda function: SimpleNamespace(options=lambda **needs: SimpleNamespace(remote=self._start))

    def _start(self, errand: str, data: list[Any], members: list[Any]) -> "Stream":
        number = len(self.started)
        self.started.append(Errand.from_json(errand))
        self.running += 1
        self.most = max(self.most, self.running)
        said = work_on_node(errand, data, members)
        return Stream(self.breaks.get(number, lambda said: said)(said), self)

    def wait(self, streams: list["Stream"], num_returns: int, timeout: float) -> tuple[list["Stream"], None]:
        return [one for one in streams if one.answers][:num_returns], None

    def get(self, said: Any) -> Any:
        if isinstance(said, Exception):
            raise said
        return said

    def put(self, value: Any) -> Any:
        return value

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": one} for one in self.nodes_there]

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(gcs_address=self.head)


class Stream:
    def __init__(self, said: Iterator[Any] | None, cluster: Cluster) -> None:
        self.said, self.cluster, self.answers = said, cluster, said is not None

    def __next__(self) -> Any:
        try:
            said = next(self.said)
        except StopIteration:
            self.cluster.running -= 1
            raise
        if isinstance(said, list | Exception):
            self.cluster.running -= 1
        return said


def lost_after(items: int) -> Any:
    """A worker that is killed when so much of what it says has arrived."""
    return lambda said: itertools.chain(itertools.islice(said, items), [LOST])


def damaged(said: Iterator[Any]) -> Iterator[Any]:
    """One bit of every tensor file is flipped on the way."""
    for one in said:
        if isinstance(one, dict):
            one = {n: c[:-1] + bytes([c[-1] ^ 1]) if n.endswith("tensors") else c for n, c in one.items()}
        yield one


@pytest.fixture
def head() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ray_node, "_fetched", list)
    monkeypatch.setattr(_ray_node, "REPORT_SECONDS", 0.05)


@pytest.fixture(scope="module")
def planned(cache) -> Plan:
    return plan_study(studies.parse(STUDY, "three"))


@pytest.fixture(scope="module")
def serial(tmp_path_factory, planned) -> Store:
    store = Store(tmp_path_factory.mktemp("serial") / "store")
    run(planned, store, executor="serial")
    return store


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


def tensors(store: Store) -> dict[str, bytes]:
    return {f"{p.parent.name}/{p.name}": p.read_bytes() for p in store.root.glob("members/*/*/*.safetensors")}


def driven(
    cluster: Cluster, planned: Plan, store: Store, jobs=None, seen=None, **options: Any
) -> dict[int, list[Outcome]]:
    """What came of each job, and that each came once."""
    jobs = jobs or missing_jobs(planned, store, arrange(planned, store, executor="serial"))
    reports = [] if seen is None else seen
    with store.staging() as staged:
        driver = _Driver(cluster, jobs, store, staged, Options(**options))
        ended = list(driver.run(2, lambda job, epoch: reports.append((job, epoch))))
        assert list(staged.iterdir()) == []
    assert sorted(number for number, _ in ended) == list(range(len(jobs)))
    return dict(ended)


def statuses(ended: dict[int, list[Outcome]]) -> set[str]:
    return {one.status for outcomes in ended.values() for one in outcomes}


@pytest.mark.parametrize("shared", ["no", "auto"])
def test_members_are_those_of_one_process_with_and_without_the_store(shared, planned, serial, store, head):
    seen: list[tuple[int, int]] = []
    cluster = Cluster(head, {})
    assert statuses(driven(cluster, planned, store, seen=seen, shared=shared)) == {"done"}
    assert tensors(store) == tensors(serial)
    assert cluster.most == 2
    assert {job for job, _ in seen} == {0, 1, 2}


def test_a_node_without_the_store_gets_the_members_that_it_rounds(store, head, tmp_path):
    """And sends none of them back."""
    planned, serial = plan_study(studies.parse(ROUNDED, "rounded")), Store(tmp_path / "serial")
    run(planned, serial, executor="serial")
    jobs = missing_jobs(training_plan(planned, store), store, arrange(planned, store, executor="serial"))
    assert statuses(driven(Cluster(head, {}), planned, store, jobs, shared="no")) == {"done"}
    jobs = rounding_jobs(planned, store, arrange(planned, store, executor="serial").place)
    ended = driven(Cluster(head, {}), planned, store, jobs, shared="no")
    assert {one.key for outcomes in ended.values() for one in outcomes} == {
        one.key for one in planned.runs if not one.cell.is_trained
    }
    assert statuses(ended) == {"done"}
    assert tensors(store) == tensors(serial)


@pytest.mark.parametrize("items", [0, 1, 3])
def test_a_job_that_is_lost_is_done_again_and_nothing_counts_twice(items, planned, serial, store, head):
    """Lost before it began, in training, and with a part of its members sent."""
    cluster = Cluster(head, {0: lost_after(items), 1: lost_after(items), 2: lost_after(items)})
    ended = driven(cluster, planned, store, shared="no")
    assert statuses(ended) == {"done"}
    assert len(cluster.started) == 6
    assert tensors(store) == tensors(serial)


def test_after_so_many_tries_a_job_is_a_failure_with_its_reason(planned, store, head):
    cluster = Cluster(head, dict.fromkeys(range(100), lost_after(0)))
    ended = driven(cluster, planned, store, retries=1)
    assert len(cluster.started) == 6
    assert statuses(ended) == {"failed"}
    said = {one.reason for outcomes in ended.values() for one in outcomes}
    assert said == {f"lost 2 times, and retries = 1; the last time: {SAID}"}


def test_a_job_is_done_again_whose_images_were_lost_on_the_way(planned, serial, store, head):
    gone = ray.exceptions.RayTaskError("work_on_node", "...", ray.exceptions.ObjectLostError("a", None, ""))
    cluster = Cluster(head, {1: lambda said: iter([gone])})
    assert statuses(driven(cluster, planned, store)) == {"done"}
    assert len(cluster.started) == 4
    assert tensors(store) == tensors(serial)


def test_a_job_that_raises_would_raise_again_and_is_not_done_again(planned, store, head):
    error = ray.exceptions.RayTaskError("work_on_node", "Traceback ...", ValueError("x"))
    cluster = Cluster(head, dict.fromkeys(range(3), lambda said: iter([error])))
    assert statuses(driven(cluster, planned, store)) == {"failed"}
    assert len(cluster.started) == 3


def test_what_comes_damaged_is_not_published_and_trained_again(planned, serial, store, head):
    cluster = Cluster(head, {0: damaged})
    assert statuses(driven(cluster, planned, store, shared="no")) == {"done"}
    assert len(cluster.started) == 4
    assert tensors(store) == tensors(serial)


def test_what_always_comes_damaged_is_a_failure_and_no_member(planned, store, head):
    cluster = Cluster(head, dict.fromkeys(range(100), damaged))
    ended = driven(cluster, planned, store, shared="no", retries=1)
    assert statuses(ended) == {"failed"}
    assert all("came damaged" in one.reason for outcomes in ended.values() for one in outcomes)
    assert tensors(store) == {}


def test_a_member_that_is_here_already_with_other_logits_is_a_conflict(planned, serial, store, head):
    """Nothing of it is changed, and the others of its pack are taken."""
    (first, *_) = missing_jobs(planned, store, arrange(planned, store, executor="serial"))
    key, other = first.runs[0].key, trained_as(first.runs[0], np.ones((1, 10), np.float32))
    publish(store, other, np.zeros(1, np.int64))
    before = tensors(store)
    ended = driven(Cluster(head, {}), planned, store, [first], shared="no")
    assert {one.key: one.status for one in ended[0]} == {key: "failed"} | {
        one.key: "done" for one in first.runs[1:]
    }
    assert "conflict: it has other logits there" in ended[0][0].reason
    assert before.items() <= tensors(store).items()


def test_a_lost_head_is_one_message_with_what_to_do(planned, store):
    with socket.create_server(("127.0.0.1", 0)) as server:
        head = f"127.0.0.1:{server.getsockname()[1]}"
    cluster = Cluster(head, dict.fromkeys(range(3), lambda said: None))
    with pytest.raises(ClusterError, match=r"the head of .* was lost .* rerun the same command") as lost:
        driven(cluster, planned, store)
    assert lost.value.exit_code == 1


def test_jobs_that_no_node_can_run_any_more_do_not_wait_for_ever(planned, store, head, monkeypatch):
    monkeypatch.setattr(executor, "PATIENCE", 0.0)
    cluster = Cluster(head, dict.fromkeys(range(3), lambda said: None))
    cluster.nodes_there = [{"CPU": 0.0}]
    with pytest.raises(ClusterError, match="no node of the Ray cluster that could run a job of 1 thread has"):
        driven(cluster, planned, store)


def errand(planned: Plan, store: Store, **changes: Any) -> str:
    job, *_ = missing_jobs(planned, store, arrange(planned, store, executor="serial"))
    facts = {"shared": "no", "marker": "", "cache": "/nowhere", "source": source_digest()}
    return Errand(**{"job": job, **facts, **changes}).to_json()


def test_a_node_with_other_source_says_so_and_trains_nothing(planned, store):
    ((said,),) = [[*work_on_node(errand(planned, store, source="0" * 64), [], [])]]
    assert all("is not the same source as the driver's" in text for text in said)


def test_images_that_a_node_lacks_are_kept_there_once_and_checked(planned, store, tmp_path, monkeypatch):
    asked, cell = errand(planned, store), planned.cells[0].cell
    images = cached_bytes(cell.dataset_digest, cell.dataset)
    monkeypatch.setenv("ENSEMBUDGET_CACHE", str(tmp_path / "node"))
    *_, said = work_on_node(asked, [images[:-8] + b"damaged!"], [])
    assert all(f"what was sent as dataset {cell.dataset_digest}" in text for text in said)
    *_, said = work_on_node(asked, [images], [])
    assert all('"done"' in text for text in said)
    assert cached_bytes(cell.dataset_digest, cell.dataset) == images
    *_, said = work_on_node(asked, [], [])
    assert all('"done"' in text for text in said)
    assert cache_folder() == tmp_path / "node"
    assert list((tmp_path / "node/jobs/tmp").iterdir()) == []
    assert not store.root.exists()


def test_a_node_whose_cache_cannot_be_written_trains_too(planned, store, tmp_path, monkeypatch):
    asked, cell = errand(planned, store), planned.cells[0].cell
    images = cached_bytes(cell.dataset_digest, cell.dataset)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ENSEMBUDGET_CACHE", str(tmp_path / "file" / "cache"))
    *_, said = work_on_node(asked, [images], [])
    assert all('"done"' in text for text in said)


def placed(node: dict[str, float], needs: Need) -> int:
    """One job after another, each on the first GPU that has room for it."""
    cpus, gpus, jobs = node.get("CPU", 0), [100] * int(node.get("GPU", 0)), 0
    while cpus >= needs.threads:
        free = next((i for i, left in enumerate(gpus) if left >= round(100 * needs.gpus)), None)
        if needs.gpus and free is None:
            break
        if free is not None:
            gpus[free] -= round(100 * needs.gpus)
        cpus, jobs = cpus - needs.threads, jobs + 1
    return jobs


@pytest.mark.parametrize("gpus", [0.01, 0.1, 0.2, 0.25, 0.3, 1 / 3, 0.34, 0.4, 0.5, 0.51, 1.0])
@pytest.mark.parametrize("threads", [1, 3])
def test_the_room_of_a_node_is_that_of_placing_one_job_after_another(gpus, threads):
    needs = need("cuda", threads, gpus)
    for node in ({"CPU": 4.0}, {"CPU": 7.0, "GPU": 1.0}, {"CPU": 300.0, "GPU": 2.0}, {"GPU": 4.0}, {}):
        assert room([node], needs) == placed(node, needs)
        assert room([node, node], needs) == 2 * placed(node, needs)


@pytest.mark.parametrize("gpus", [0.0, -1.0, 1.5, 0.001, float("nan")])
def test_a_share_that_is_none_of_one_gpu_is_refused(gpus):
    with pytest.raises(DeviceError, match=r"must be from 0.01 to 1"):
        need("cuda", 1, gpus)


@pytest.mark.parametrize("options", [{"shared": "perhaps"}, {"retries": -1}])
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(ArgumentError, match=f"option {next(iter(options))} = "):
        Options(**options)


def test_an_address_is_of_ray_alone(command):
    said = command("run", "digits", "--address", "10.0.0.7:6379")
    assert said.code == 2
    assert "--address '10.0.0.7:6379' is a Ray cluster's, and the executor is 'processes'" in said.err


@pytest.mark.parametrize("asked", ["ray", "ray:gpus=0.5"])
def test_an_address_is_short_for_rays_option(asked, command, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    said = command("run", "digits", "--executor", asked, "--address", "127.0.0.1:9")
    assert said.code == 2
    assert "no Ray cluster answers at address '127.0.0.1:9'" in said.err


def test_an_address_is_given_once(command):
    said = command("run", "digits", "--executor", "ray:address=a:1", "--address", "b:1")
    assert said.code == 2
    assert "Write each option once" in said.err
