"""The same runs in one process, in several and on Ray: the same logits, and an answer whatever happens."""

import multiprocessing
import os
import shutil
import signal
import time

import pytest
import torch

from ensembudget import studies
from ensembudget.catalog import EXECUTORS
from ensembudget.errors import DeviceError
from ensembudget.executors._base import Job, Outcome
from ensembudget.executors._worker import lost, work
from ensembudget.records import Plan, SteppingChoice
from ensembudget.stepping.place import Place
from ensembudget.stepping.ways._base import Way
from ensembudget.store import Store
from ensembudget.store.claims import LEASE_SECONDS
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


DYING = """
import ctypes, os, signal
from pathlib import Path
from ensembudget.stepping.ways._base import Way

def forward(network, single, members):
    width, notes = len(next(network.parameters())) // members, Path(os.environ["NOTES"])
    begun = len(list(notes.glob(f"{width}-*")))
    (notes / f"{width}-{os.getpid()}").touch()
    if begun < int(os.environ[f"DEATHS_{width}"]):
        os.write(2, f"width {width} is too much".encode())
        ctypes.string_at(0) if os.environ["HOW"] == "segfault" else os.kill(os.getpid(), signal.SIGKILL)
    return network

way = Way(forward)
"""


@pytest.fixture
def dying(install, tmp_path, monkeypatch):
    """`dying("kill", 3, 0)`: workers die by a signal as packs of width 3 and 4 begin, so many times each."""
    install("dying", ways={"dying": DYING})
    (tmp_path / "notes").mkdir()
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))

    def set_up(how, *deaths):
        monkeypatch.setenv("HOW", how)
        for width, number in zip((3, 4), deaths, strict=True):
            monkeypatch.setenv(f"DEATHS_{width}", str(number))

    return set_up


def run_dying(store, retries, seen):
    """With one worker, so that every death is one of the job that it is meant for."""
    executor = f"processes:retries={retries}"
    way = SteppingChoice(way="dying", pack=2)
    arrangement = arrange(planned(), store, executor=executor, workers=1, stepping=way)
    return run(planned(), store, executor=executor, arrangement=arrangement, on_progress=seen.append)


@pytest.mark.slow
@pytest.mark.parametrize(("how", "said"), [("kill", "killed by SIGKILL"), ("segfault", "crashed by SIGSEGV")])
def test_a_job_whose_worker_always_dies_has_failed_and_the_others_go_on(how, said, serial, store, dying):
    """Width 4 has one pack, width 3 two: of these, one dies twice and the other never."""
    seen = []
    dying(how, 0, 9)
    outcomes = {one.key: one for one in run_dying(store, 1, seen)}
    assert set(outcomes) == {r.key for r in planned().runs}
    failed = [r for r in planned().runs if outcomes[r.key].status == "failed"]
    assert [r.cell.width for r in failed] == [4, 4]
    for one in failed:
        assert said in outcomes[one.key].reason
        assert "Tried 2 times" in outcomes[one.key].reason
        assert store.failure(one.key) == outcomes[one.key].reason
        assert store.failure_log(one.key).startswith("width 4 is too much")
    (row,) = (row for row in status(planned(), store) if row.failed)
    assert (row.planned.cell.width, row.failed, row.done) == (4, 2, 0)
    assert "width 4 is too much" in row.logs[row.reasons[0]]
    assert (seen[-1].ended, seen[-1].missing, seen[-1].share) == (6, 6, 1)

    dying(how, 0, 0)
    assert {one.status for one in run_dying(store, 0, [])} == {"done"}
    assert logits(store) == logits(serial)
    assert not any(row.failed for row in status(planned(), store))


@pytest.mark.slow
def test_a_job_whose_worker_died_is_done_again(serial, store, dying):
    dying("kill", 1, 2)
    assert {one.status for one in run_dying(store, 2, [])} == {"done"}
    assert logits(store) == logits(serial)


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
    again = work(stepped(jobs[0], "failing"), lambda epoch: None)
    assert again == [one.model_copy(update={"by_other": True}) for one in first]
    assert logits(store) == before
    assert first == [Outcome(key=r.key, status="done") for r in jobs[0].runs]


def test_a_job_that_another_run_did_says_so(jobs, store):
    work(jobs[0], lambda epoch: None)
    assert all(one.by_other for one in work(jobs[0], lambda epoch: None))


def test_a_job_whose_worker_died_after_publishing_has_lost_nothing(jobs, store):
    """Of a pack in which one member was published, one is done and one failed."""
    first = work(jobs[0], lambda epoch: None)
    assert lost(jobs[0], "gone") == first
    folder = store.root / "members" / first[1].key[:2] / first[1].key
    shutil.rmtree(folder)
    assert lost(jobs[0], "gone", "a log") == [
        first[0],
        Outcome(key=first[1].key, status="failed", reason="gone", log="a log"),
    ]


def test_a_job_that_another_has_is_not_waited_for(jobs, store):
    """Not even where only one of its members is another's: it may be in a pack of another size."""
    with store.claimed([jobs[0].runs[1].key]) as is_ours:
        assert is_ours
        began = time.monotonic()
        assert work(jobs[0], lambda epoch: None) == jobs[0].held()
        assert time.monotonic() - began < LEASE_SECONDS
    assert logits(store) == {}
    assert {one.status for one in work(jobs[0], lambda epoch: None)} == {"done"}


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
