"""Ray, really: started here, or joined; and what no node can run is refused before anything starts."""

import gc
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ensembudget import studies
from ensembudget.catalog import EXECUTORS
from ensembudget.errors import DeviceError
from ensembudget.executors._spec import executor_of
from ensembudget.records import Member
from ensembudget.stepping.place import Place
from ensembudget.store import Store
from ensembudget.verbs.plan import plan_study
from ensembudget.verbs.run import run
from helpers import THREE_PACKS

ray = pytest.importorskip("ray")
# Ray leaves sockets open and forks from a process with threads.
pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
    )
]

ROOT = str(Path(__file__).parents[2])
UNHINDERED = {"RAY_worker_niceness": "0"}  # else Ray's workers step back for all others
SECONDS = 480  # that a command may take: what cannot be scheduled waits for ever

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """`command("local", "--workers", "1")` is `ensembudget run --executor ray` in a process of its own."""
    (tmp_path / "three.toml").write_text(THREE_PACKS)

    def run_with_ray(address: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        asked = ["run", "three.toml", "--store", "store", "--executor", "ray", *arguments]
        return subprocess.run(
            [sys.executable, "-m", "ensembudget", *asked],
            cwd=tmp_path, env=os.environ | {"RAY_ADDRESS": address, "PYTHONPATH": ROOT, **UNHINDERED},
            capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip

    return run_with_ray


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a cluster of two nodes: one of two CPUs, one of one CPU and, so it says, a GPU.

    Their own ensembudget cannot be imported.
    """
    from ray.cluster_utils import Cluster

    broken = tmp_path_factory.mktemp("node")
    (broken / "ensembudget.py").write_text("raise ImportError('the code was not sent')")
    head = {"num_cpus": 2, "num_gpus": 0, "include_dashboard": False}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(broken))
        for name, value in UNHINDERED.items():
            patch.setenv(name, value)
        made = Cluster(initialize_head=True, head_node_args=head)
        made.add_node(num_cpus=1, num_gpus=1)
    yield made.address
    made.shutdown()
    gc.collect()  # what Ray leaves open is told of here, where it is ignored


@pytest.fixture
def joined(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster)


def logits(store: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in store.glob("members/*/*/logits.safetensors")}


def members(store: Path) -> list[Member]:
    planned = plan_study(studies.parse(THREE_PACKS, "three"))
    return [Store(store).read(one.key).member for one in planned.runs]


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    store = tmp_path_factory.mktemp("serial")
    run(plan_study(studies.parse(THREE_PACKS, "three")), Store(store), executor="serial")
    return logits(store)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "threads"), [("--workers 1", 1), ("--workers 1 --threads 2", 2), ("--workers 2 --threads 4", 4)]
)
def test_ray_is_started_with_room_for_what_is_asked(asked, threads, command, serial, tmp_path):
    """With one CPU for every worker, whatever its threads, no job would ever start."""
    done = command("local", *asked.split())
    assert done.returncode == 0, done.stderr
    assert "6 members done now" in done.stderr
    assert {one.environment.threads for one in members(tmp_path / "store")} == {threads}
    if threads == 1:
        assert logits(tmp_path / "store") == serial


@pytest.mark.slow
def test_a_running_cluster_is_joined(command, cluster, serial, tmp_path):
    """Its nodes get the code; the address on the command line is preferred to the environment's."""
    done = command("127.0.0.1:9", "--address", cluster, "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "6 members done now" in done.stderr
    assert logits(tmp_path / "store") == serial
    again = command(cluster)
    assert "nothing was missing" in again.stderr


@pytest.mark.slow
def test_what_no_node_can_run_is_refused_before_a_store_is_made(command, cluster, tmp_path):
    """It would wait for ever."""
    done = command(cluster, "--threads", "3")
    assert done.returncode == 2
    assert "no node of the Ray cluster can run a job of 3 threads" in done.stderr
    assert "Use --threads 2 or fewer" in done.stderr
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("joined")
def test_the_place_is_the_clusters_and_not_the_drivers():
    places = EXECUTORS["ray"].places
    assert places("cpu", None, None) == [Place(device="cpu", workers=3, threads=1)]
    assert places("cpu", None, 2) == [Place(device="cpu", workers=1, threads=2)]
    assert places("cpu", 7, None) == [Place(device="cpu", workers=7, threads=1)]
    assert executor_of("ray:gpus=0.25").places("cpu", None, None)[0].workers == 3
    with pytest.raises(DeviceError, match="workers 0 is below 1"):
        places("cpu", 0, None)
    assert not ray.is_initialized()


@pytest.mark.slow
@pytest.mark.usefixtures("joined")
def test_a_gpu_is_asked_of_the_cluster_and_not_of_the_driver():
    places = EXECUTORS["ray"].places
    assert places("cuda", None, None) == [Place(device="cuda", workers=1, threads=1)]
    assert executor_of("ray:gpus=0.25").places("cuda", None, None)[0].workers == 1  # it has one CPU
    with pytest.raises(DeviceError, match="no node of the Ray cluster can run a job of 2 threads and a GPU"):
        places("cuda", None, 2)
    with pytest.raises(DeviceError, match=r"Ray chooses each job's GPU. Use --device cuda"):
        places("cuda:1", None, None)


@pytest.mark.slow
def test_an_address_at_which_nobody_answers_is_refused(command, tmp_path):
    done = command("127.0.0.1:9")
    assert done.returncode == 2
    assert "no Ray cluster answers at RAY_ADDRESS '127.0.0.1:9'" in done.stderr
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
def test_a_cluster_whose_token_is_not_here_is_refused(command, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("HOME", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = command("", "--address", f"127.0.0.1:{server.getsockname()[1]}")
    assert done.returncode == 2
    assert "the running Ray cluster cannot be joined" in done.stderr
    assert "token" in done.stderr
    assert "Traceback" not in done.stderr


def test_where_no_cluster_runs_jobs_run_here(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "local")
    (place,) = EXECUTORS["ray"].places("cpu", 2, 4)
    assert place == Place(device="cpu", workers=2, threads=4)
    with pytest.raises(DeviceError, match="workers 0 is below 1"):
        EXECUTORS["ray"].places("cpu", 0, None)
    with pytest.raises(DeviceError, match="'cpux'"):
        EXECUTORS["ray"].places("cpux", None, None)


def test_ray_is_not_started_for_no_jobs():
    assert list(EXECUTORS["ray"].execute([], 2, lambda job, epoch: None)) == []
    assert not ray.is_initialized()
