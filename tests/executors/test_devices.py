"""Which process works on which GPU, with numbers of GPUs that no machine here has."""

import pytest
import torch

from ensembudget.executors import processes
from ensembudget.executors._pool import Call
from ensembudget.executors._spec import executor_of
from ensembudget.stepping.place import Place, devices


@pytest.mark.parametrize(
    ("device", "gpus", "found"),
    [
        ("cpu", 4, ["cpu"]),
        ("cuda", 0, ["cuda"]),
        ("cuda", 1, ["cuda"]),
        ("cuda", 3, ["cuda:0", "cuda:1", "cuda:2"]),
        ("cuda:1", 3, ["cuda:1"]),
    ],
)
def test_cuda_is_all_gpus_and_a_number_is_one(device, gpus, found):
    assert devices(device, gpus) == found


@pytest.fixture
def eight(monkeypatch):
    """A machine with eight GPUs, so it seems."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.setattr("ensembudget.stepping.place.check_device", lambda device: None)


@pytest.mark.usefixtures("eight")
def test_every_gpu_has_a_process_where_nobody_says_how_many():
    places = executor_of("processes").places
    assert [place.workers for place in places("cuda", None, None)] == [8]
    assert [place.workers for place in places("cuda:1", None, None)] == [1]
    assert places("cuda", 16, 2) == [Place(device="cuda", workers=16, threads=2)]


@pytest.mark.usefixtures("eight")
def test_a_worker_is_handed_its_gpu_and_more_workers_than_gpus_share_them(monkeypatch):
    asked, used, current = [], [], []

    class Held:
        device = "cuda"

        def to_json(self):
            return "a job"

        def model_copy(self, *, update):
            return update["device"]

    def pooled(do, tasks, workers, on_report, retries):
        asked.extend(tasks)
        return iter(())

    monkeypatch.setattr(processes, "pooled", pooled)
    assert list(processes.execute([Held()], 10, lambda job, epoch: None)) == []
    monkeypatch.setattr(processes.Job, "from_json", lambda text: Held())
    monkeypatch.setattr(processes, "work", lambda job, report: used.append(job) or [])
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    for worker in range(10):
        processes._work(Call(processes._work, asked[0], worker, 0), lambda done: None)
    assert used == [f"cuda:{worker % 8}" for worker in range(10)]
    assert current == used
