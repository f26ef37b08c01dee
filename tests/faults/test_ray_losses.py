"""Attack J: workers, nodes and the driver of a Ray cluster are killed while they train."""

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ensembudget import studies
from ensembudget.store import Store
from ensembudget.verbs.plan import plan_study
from ensembudget.verbs.run import run
from helpers import ROOT, THREE_PACKS

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.long,
    pytest.mark.slow,
    # Ray leaves sockets open.
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
    ),
]

SECONDS = 600  # that anything may take: this is no measure of speed
STUDY = THREE_PACKS.replace("epochs = 2", "epochs = 40").replace("[rec", "keep_weights = true\n\n[rec")
# A lost node is noticed in 10 seconds, and not in 20; a slow one is not taken for lost.
WATCHFUL = {"health_check_period_ms": 1000, "health_check_failure_threshold": 10}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head that trains nothing and two nodes of one core, without ensembudget and without images."""
    from ray.cluster_utils import Cluster

    broken = tmp_path / "node" / "ensembudget"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('the code was not sent')")
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(broken.parent))
        patch.setenv("ENSEMBUDGET_CACHE", str(tmp_path / "node" / "cache"))
        patch.setenv("RAY_worker_niceness", "0")  # Ray's workers step back for all others
        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": WATCHFUL}
        made = Cluster(initialize_head=True, head_node_args=head)
        try:
            for _ in range(2):
                made.add_node(num_cpus=1)
            yield made
        finally:
            made.shutdown()
            gc.collect()  # what Ray leaves open is told of here, where it is ignored


def wait_for(found: Callable[[], Any], what: str) -> Any:
    until = time.monotonic() + SECONDS
    while not (it := found()):
        assert time.monotonic() < until, f"no {what} after {SECONDS} seconds"
        time.sleep(0.2)
    return it


def children(parent: int) -> Iterator[tuple[int, str]]:
    """Process numbers and command lines."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            ppid = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if ppid == parent:
                yield int(folder.name), (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:  # gone
            continue


def working(node: Any) -> list[int]:
    """The worker process of a node that does a job now."""
    (raylet,) = node.all_processes["raylet"]
    return [pid for pid, line in children(raylet.process.pid) if line.startswith("ray::work_on_node")]


def both_training(cluster: Any, store: Path) -> list[int]:
    """The workers of both nodes, once they train: claims are renewed then."""
    claims = store / "claims"
    found = [pid for node in cluster.worker_nodes for pid in working(node)]
    return found if len(found) == 2 and len([*claims.glob("*.lock")]) >= 2 else []


def command(folder: Path, address: str, *options: str) -> "subprocess.Popen[bytes]":
    """`run` in a process of its own; what it says is in the file `said`."""
    executor = ["--executor", f"ray:{','.join(options)}", "--address", address, "--workers", "2"]
    with (folder / "said").open("w") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "ensembudget", "run", "study.toml", "--store", "store", *executor],
            cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=said, stderr=said,
        )  # fmt: skip


def tensors(store: Path) -> dict[str, bytes]:
    return {
        f"{path.parent.name}/{path.name}": path.read_bytes()
        for path in store.glob("members/*/*/*.safetensors")
    }


def test_whatever_is_killed_the_members_are_those_of_one_process(cluster, tmp_path, attacked):
    """Two workers, two nodes and the driver are killed in mid-training; then the same command ends it.

    The first driver's nodes see the store; the second one's send it what they trained.
    """
    (tmp_path / "study.toml").write_text(STUDY)
    store, said = tmp_path / "store", tmp_path / "said"
    driver = command(tmp_path, cluster.address)
    try:
        for pid in wait_for(lambda: both_training(cluster, store), "two workers"):
            os.kill(pid, signal.SIGKILL)
        time.sleep(1)
        wait_for(lambda: both_training(cluster, store), "two workers in place of those killed")
        for node in [*cluster.worker_nodes]:
            cluster.remove_node(node, allow_graceful=False)
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        wait_for(lambda: both_training(cluster, store), "two workers on new nodes")
        assert driver.poll() is None, said.read_text()
        driver.kill()
    finally:
        driver.kill()
        driver.wait()
    again = command(tmp_path, cluster.address, "shared=no")
    try:
        code = again.wait(timeout=SECONDS)
    finally:
        again.kill()
    assert code == 0, said.read_text()
    planned = plan_study(studies.parse(STUDY, "study"))
    serial = tmp_path / "serial"
    run(planned, Store(serial), executor="serial")
    assert tensors(store) == tensors(serial)
    assert len(tensors(store)) == 2 * len(planned.runs)
    assert [*(tmp_path / "node" / "cache" / "arrays").iterdir()]  # they were sent to the second one's nodes
    for folder in (store, tmp_path / "node" / "cache" / "jobs"):
        assert not [*(folder / "tmp").iterdir()]
    attacked("P8 P2", "Ray: 2 workers, 2 nodes and the driver killed in mid-training", 5)
