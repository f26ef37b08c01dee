"""Two runs on one store: what another run has is left for the end, counted when it is done, and done once.

The other run is played: it holds a claim, and publishes made-up members.
"""

import numpy as np
import pytest

import helpers
from ensembudget.errors import StoreError
from ensembudget.executors._base import Executor, Job, Outcome
from ensembudget.records import Run, Stepping
from ensembudget.store import Store
from ensembudget.verbs import sharing
from ensembudget.verbs.progress import Follower
from ensembudget.verbs.run import do_jobs
from ensembudget.verbs.sharing import shared

LABELS = np.arange(10) % 10


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def jobs(store) -> list[Job]:
    """Three packs of two."""
    return [
        Job(
            runs=[Run(cell=helpers.CELL, seed=seed) for seed in (2 * pack, 2 * pack + 1)],
            store=str(store.root),
            device="cpu",
            threads=1,
            stepping=Stepping(pack=2),
            keep_weights=False,
        )
        for pack in range(3)
    ]


def publish(store: Store, job: Job) -> None:
    for run in job.runs:
        logits = np.random.default_rng(run.seed).normal(size=(10, 10)).astype(np.float32)
        helpers.publish(store, helpers.trained_as(run, logits), LABELS)


def done(job: Job, *, by_other: bool = False) -> list[Outcome]:
    return [Outcome(key=key, status="done", by_other=by_other) for key in job.keys]


class Played:
    """An executor that does its jobs at once, but for those that are held; like Ray's it reports all ends."""

    def __init__(self, store, jobs, before=lambda number: None):
        self.store, self.jobs, self.before, self.asked = store, jobs, before, []

    def execute(self, jobs, workers, on_epoch):
        self.asked.append([self.jobs.index(job) for job in jobs])
        for place, job in enumerate(jobs):
            self.before(self.jobs.index(job))
            with self.store.claimed(job.keys) as is_ours:
                if is_ours and job.runs[0].key not in self.store:
                    publish(self.store, job)
            yield place, done(job) if is_ours else job.held()
            on_epoch(place, job.length)

    @property
    def part(self) -> Executor:
        return Executor(self.execute)


def told(jobs, store, played):
    """What came, and the progress at each report."""
    seen = []
    follower = Follower(jobs, [1.0] * len(jobs), seen.append)
    return list(shared(jobs, store, played.part, 1, follower)), [(one.ended, one.share) for one in seen]


def test_jobs_that_nobody_else_has_are_done_in_their_order(jobs, store):
    played = Played(store, jobs)
    found, seen = told(jobs, store, played)
    assert found == [(number, done(job)) for number, job in enumerate(jobs)]
    assert played.asked == [[0, 1, 2]]
    assert seen[-1] == (6, 1.0)


def test_no_jobs_ask_no_executor(store):
    played = Played(store, [])
    assert told([], store, played) == ([], [])
    assert played.asked == []


def test_what_another_run_does_meanwhile_is_counted_as_soon_as_a_job_ends(jobs, store):
    claim = store.claim(jobs[0].keys)
    assert claim.take()

    def before(number):
        if number == 2:  # the other run ends its job while this one does its second
            publish(store, jobs[0])
            claim.release()

    played = Played(store, jobs, before)
    found, seen = told(jobs, store, played)
    assert found == [(1, done(jobs[1])), (2, done(jobs[2])), (0, done(jobs[0], by_other=True))]
    assert played.asked == [[0, 1, 2]]
    assert list(dict.fromkeys((ended, round(3 * share)) for ended, share in seen)) == [(2, 1), (4, 2), (6, 3)]


def test_what_another_run_still_has_is_waited_for_at_the_end_alone(jobs, store, monkeypatch):
    claim = store.claim(jobs[1].keys)
    assert claim.take()
    waited = []

    def sleep(seconds):
        if seconds != sharing.EVERY:  # a claim's own, far shorter
            return
        waited.append(seconds)
        assert jobs[0].runs[0].key in store
        assert jobs[2].runs[0].key in store
        if len(waited) == 3:
            publish(store, jobs[1])

    monkeypatch.setattr(sharing.time, "sleep", sleep)
    played = Played(store, jobs)
    found, seen = told(jobs, store, played)
    assert found[-1] == (1, done(jobs[1], by_other=True))
    assert len(waited) >= 3
    assert played.asked == [[0, 1, 2]]  # nothing was begun for it
    assert seen[-1] == (6, 1.0)


def test_what_another_run_gives_up_is_done_here(jobs, store):
    claim = store.claim([jobs[1].runs[1].key])  # in a pack of another size
    assert claim.take()

    def before(number):
        if number == 2:
            claim.release()

    played = Played(store, jobs, before)
    found, seen = told(jobs, store, played)
    assert sorted(number for number, _ in found) == [0, 1, 2]
    assert found[-1] == (1, done(jobs[1]))
    assert played.asked == [[0, 1, 2], [1]]
    assert (4, pytest.approx(2 / 3)) in seen  # not counted while it was held
    assert seen[-1] == (6, 1.0)


def test_a_member_of_another_run_that_is_damaged_has_failed(jobs, store):
    claim = store.claim(jobs[0].keys)
    assert claim.take()

    def before(number):
        if number == 1:
            publish(store, jobs[0])
            key = jobs[0].runs[0].key
            (store.root / "members" / key[:2] / key / "logits.safetensors").write_bytes(b"")

    found, _ = told(jobs, store, Played(store, jobs, before))
    claim.release()
    ended = dict(found)[0]
    assert [one.status for one in ended] == ["failed", "failed"]
    assert "quarantine" in ended[0].reason


@pytest.mark.parametrize("where", ["the jobs that failed cannot be written down", "progress cannot be shown"])
def test_an_executor_is_ended_at_once_where_its_run_cannot_go_on(where, jobs, store, plug_in, monkeypatch):
    """Not when the exception is gone: Python waits for processes before it ends."""
    left = []

    def execute(jobs, workers, on_epoch):
        try:
            for place, job in enumerate(jobs):
                yield place, job.failed("no reason")
        finally:
            left.append("closed")

    def show(progress):
        if where.startswith("progress"):
            raise BrokenPipeError

    def record_failure(*told):
        raise StoreError("the disk is full")

    plug_in("executors", "open", executor=Executor(execute))
    monkeypatch.setattr(store, "record_failure", record_failure)
    with pytest.raises((StoreError, BrokenPipeError)) as error:
        do_jobs(jobs, [1.0] * 3, store, set(), "open", 1, show)
    assert left == ["closed"]
    assert error.value.__traceback__  # which holds every frame


def test_of_two_claims_that_overlap_one_has_all_and_the_other_nothing(store):
    keys = [f"{number:064x}" for number in range(4)]
    one, other, apart = store.claim(keys[:3]), store.claim(keys[2:]), store.claim(keys[3:])
    assert one.take()
    assert not other.take()
    assert apart.take()  # the other holds nothing of what it could have had
    apart.release()
    one.release()
    assert other.take()
    other.release()
    assert list((store.root / "claims").glob("*.lock")) == []
