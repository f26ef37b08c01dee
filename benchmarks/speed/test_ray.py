"""How much two nodes of a Ray cluster train beside one worker of one thread, and whether it is the same.

    pytest benchmarks/speed/test_ray.py -s

Starts a cluster on this machine, a head that trains nothing and two nodes of one core, so it needs two idle
cores; some ten minutes. Prints the throughput of two workers over twice that of one, which is serial in
this process: of whole runs, with joining and starting workers, and from the first report to the last.
Expect at least 0.85 from report to report; starting workers takes some 10 s of a whole run, which is less
than a minute here. The members of both must be equal to the byte.
"""

import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from benchmarks.speed._sides import ratio
from ensembudget import Plan, Store, plan_study, run, studies
from ensembudget.verbs.progress import Progress
from ensembudget.verbs.run import arrange

ray = pytest.importorskip("ray")
pytestmark = [
    # Ray leaves sockets open.
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
    )
]

ROUNDS = 3
# Eight packs of two members, whole minutes: starting workers takes seconds of it.
STUDY = """
name = "two_nodes"
description = "eight packs of two members"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 400
validation_size = 100
budgets = [31000]
members = [1]
replicates = 16
pool = 16
stepping = { pack = 2, compiled = false }

[recipe]
epochs = 30
batch_size = 128
"""


class Timed(NamedTuple):
    """Seconds of a whole run, and seconds of the same work from its first report to its last."""

    whole: float
    steady: float


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_worker_niceness", "0")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        yield cluster.address
    finally:
        cluster.shutdown()


def timed(planned: Plan, store: Store, executor: str, workers: int) -> Timed:
    reports: list[tuple[float, float]] = []

    def report(progress: Progress) -> None:
        reports.append((time.monotonic(), progress.share))

    began = time.monotonic()
    arrangement = arrange(planned, store, executor=executor, workers=workers, threads=1)
    outcomes = run(planned, store, executor=executor, arrangement=arrangement, on_progress=report)
    assert {one.status for one in outcomes} == {"done"}
    (first, some), (last, all_of_it) = reports[0], reports[-1]
    return Timed(time.monotonic() - began, (last - first) / (all_of_it - some))


def logits(store: Store) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in store.root.glob("members/*/*/*.safetensors")}


def test_two_nodes_train_nearly_twice_as_much_as_one_worker(address, tmp_path):
    planned = plan_study(studies.parse(STUDY, "two_nodes"))
    one, two = [], []
    for number in range(ROUNDS):
        here, there = Store(tmp_path / f"here{number}"), Store(tmp_path / f"there{number}")
        one.append(timed(planned, here, "serial", 1))
        two.append(timed(planned, there, f"ray:address={address}", 2))
        assert logits(here) == logits(there)
    for name in Timed._fields:
        found = ratio([getattr(side, name) for side in one], [2 * getattr(side, name) for side in two])
        print(f"\n{name}: {found[0]:.2f} [{found[1]:.2f}, {found[2]:.2f}] of twice one worker's throughput")
