"""The same runs in one process, in several and on Ray: the same logits, and an answer whatever happens."""

import multiprocessing
import os
import signal
import time

import pytest
import torch

from ensembudget import studies
from ensembudget.catalog import EXECUTORS
from ensembudget.errors import DeviceError
from ensembudget.executors._base import Job, Outcome
from ensembudget.executors._worker import work
from ensembudget.records import Plan, SteppingChoice
from ensembudget.stepping.place import Place
from ensembudget.stepping.ways._base import Way
from ensembudget.store import Store
from ensembudget.store.store import LEASE_SECONDS
from ensembudget.verbs.jobs import missing_jobs
from ensembudget.verbs.plan import plan_study
from ensembudget.verbs.run import arrange, run
from ensembudget.verbs.status import status
from helpers import THREE_PACKS


def planned(epochs: int = 2) -> Plan:
    found = plan_study(studies.parse(THREE_PACKS.replace("epochs = 2", f"epochs = {epochs}"), "three"))
    assert [(cell.cell.width, cell.members) for cell in found.cells] == [(3, 4), (4, 2)]
    return found


@pytest.fixture(scope="module")
def serial(tmp_path_factory, cache) -> Store:
    store = Store(tmp_path_factory.mktemp("serial") / "store")
    outcomes = run(planned(), store, executor="serial")
    assert sorted(one.key for one in outcomes) == sorted(r.key for r in planned().runs)
    assert {one.status for one in outcomes} == {"done"}
    return store


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def jobs(store) -> list[Job]:
    return missing_jobs(planned(), store, arrange(planned(), store))


def logits(store: Store) -> dict[str, bytes]:
    return {p.parent.name: p.read_bytes() for p in store.root.glob("members/*/*/logits.safetensors")}


def assert_same_as_serial(store: Store, serial: Store, executor: str, seen: list) -> None:
    outcomes = run(planned(), store, executor=executor, workers=2, on_progress=seen.append)
    assert sorted(one.key for one in outcomes) == sorted(r.key for r in planned().runs)
    assert {one.status for one in outcomes} == {"done"}
    assert logits(store) == logits(serial)
    assert (seen[-1].ended, seen[-1].missing, seen[-1].share) == (6, 6, 1)
    assert run(planned(), store, executor=executor, workers=2) == []


@pytest.mark.slow
def test_several_processes_train_to_the_same_logits_as_one(serial, store):
    assert_same_as_serial(store, serial, "processes", [])


@pytest.mark.slow
def test_a_killed_worker_is_a_failure_with_a_reason_and_the_same_command_resumes(serial, store):
    long = planned(epochs=400)

    def kill_one(progress):
        for child in multiprocessing.active_children()[:1]:
            os.kill(child.pid, signal.SIGKILL)

    outcomes = run(long, store, executor="processes", workers=2, on_progress=kill_one)
    assert sorted(one.key for one in outcomes) == sorted(r.key for r in long.runs)
    assert {one.status for one in outcomes} == {"failed"}
    assert all("killed" in one.reason for one in outcomes)
    assert logits(store) == {}

    outcomes = run(planned(), store, executor="processes", workers=2)
    assert {one.status for one in outcomes} == {"done"}
    assert logits(store) == logits(serial)


@pytest.mark.slow
def test_status_knows_of_members_that_were_lost_with_their_worker(store):
    long = planned(epochs=400)

    def kill_all(progress):
        for child in multiprocessing.active_children():
            os.kill(child.pid, signal.SIGKILL)

    run(long, store, executor="processes", workers=1, on_progress=kill_all)
    rows = status(long, store)
    assert sum(row.failed for row in rows) == 6
    assert all("killed" in reason for row in rows for reason in row.reasons)


@pytest.mark.slow
def test_a_claim_of_a_killed_process_is_overtaken(store, jobs):
    """The claim's file stays behind; nobody renews it, so the next run waits no longer than its lease."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_hold, args=(jobs[0].model_copy(update={"threads": 1}).to_json(),))
    process.start()
    claim = store.root / "claims" / f"{jobs[0].runs[0].key}.lock"
    until = time.monotonic() + 60
    while not claim.exists() and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert claim.exists()
    began = time.monotonic()
    assert {one.status for one in work(jobs[0], lambda epoch: None)} == {"done"}
    assert time.monotonic() - began < 10 * LEASE_SECONDS


def _hold(job: str) -> None:
    work(Job.from_json(job), lambda epoch: time.sleep(600))


@pytest.mark.parametrize("name", ["serial", "processes"])
def test_no_jobs_are_no_outcomes(name):
    assert list(EXECUTORS[name].execute([], 2, lambda job, epoch: None)) == []


@pytest.mark.parametrize("name", ["serial", "processes"])
def test_an_executor_says_where_its_jobs_run(name):
    places = EXECUTORS[name].places
    assert places("cpu", None, None)[0].workers == {"serial": 1, "processes": os.cpu_count()}[name]
    assert places("cpu", 3, 2) == [Place(device="cpu", workers=3, threads=2)]
    with pytest.raises(DeviceError, match="threads 0 is below 1"):
        places("cpu", None, 0)
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="'cuda' cannot be used here"):
            places("cuda", None, None)


def test_serial_ends_jobs_in_their_order_and_reports_every_epoch(jobs):
    reports = []
    ended = list(EXECUTORS["serial"].execute(jobs, 1, lambda job, epoch: reports.append((job, epoch))))
    assert [number for number, _ in ended] == [0, 1, 2]
    assert [[one.key for one in outcomes] for _, outcomes in ended] == [[r.key for r in j.runs] for j in jobs]
    assert reports == [(job, epoch) for job in range(3) for epoch in (1, 2)]


def test_a_job_crosses_processes_as_text(jobs):
    assert all(Job.from_json(job.to_json()) == job for job in jobs)


def failing(network, single, members):
    raise ZeroDivisionError("no reason at all")


def stepped(job, way) -> Job:
    return job.model_copy(update={"stepping": job.stepping.model_copy(update={"way": way})})


def test_a_job_that_raises_is_outcomes_with_its_reason(jobs, plug_in):
    plug_in("ways", "failing", way=Way(failing))
    outcomes = work(stepped(jobs[0], "failing"), lambda epoch: None)
    assert [one.key for one in outcomes] == [r.key for r in jobs[0].runs]
    assert {(one.status, one.reason) for one in outcomes} == {
        ("failed", "ZeroDivisionError: no reason at all")
    }


def test_a_job_whose_data_are_not_in_the_cache_says_so(jobs):
    cell = jobs[0].runs[0].cell.model_copy(update={"dataset_digest": "0" * 64})
    lost = jobs[0].model_copy(update={"runs": [r.model_copy(update={"cell": cell}) for r in jobs[0].runs]})
    outcomes = work(lost, lambda epoch: None)
    assert {one.status for one in outcomes} == {"failed"}
    assert all("'digits' are not in the cache" in one.reason for one in outcomes)


def test_a_job_whose_members_are_there_trains_nothing(jobs, store, plug_in):
    plug_in("ways", "failing", way=Way(failing))
    first = work(jobs[0], lambda epoch: None)
    before = logits(store)
    assert work(stepped(jobs[0], "failing"), lambda epoch: None) == first
    assert logits(store) == before
    assert first == [Outcome(key=r.key, status="done") for r in jobs[0].runs]


def test_a_store_that_cannot_be_written_is_a_failure_with_its_reason(jobs, tmp_path):
    (tmp_path / "file").write_text("")
    lost = jobs[0].model_copy(update={"store": str(tmp_path / "file" / "store")})
    try:
        outcomes = work(lost, lambda epoch: None)
    except Exception as error:
        pytest.fail(f"a worker must come back with an answer, but raised {type(error).__name__}: {error}")
    assert {one.status for one in outcomes} == {"failed"}
    assert all("file" in one.reason for one in outcomes)


def test_a_caller_has_its_threads_back(store, plug_in):
    """And the work had those of its place."""
    found = []

    def seen(network, single, members):
        found.append(torch.get_num_threads())
        raise RuntimeError("members that train with two threads beside other tests take half a minute")

    plug_in("ways", "seen", way=Way(seen))
    choice = SteppingChoice(way="seen")
    arrangement = arrange(planned(), store, executor="serial", threads=2, stepping=choice)
    run(planned(), store, executor="serial", arrangement=arrangement)
    assert set(found) == {2}
    assert torch.get_num_threads() == 1
