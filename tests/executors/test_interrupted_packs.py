"""A worker whose pack was stopped goes on from its checkpoint, and tells of one that it cannot use."""

import pytest

from ensembudget import studies
from ensembudget.executors._base import CHECKPOINT_SECONDS
from ensembudget.executors._worker import work
from ensembudget.store import Store
from ensembudget.verbs.jobs import missing_jobs
from ensembudget.verbs.plan import plan_study
from ensembudget.verbs.run import arrange
from helpers import THREE_PACKS

SECONDS = "ENSEMBUDGET_CHECKPOINT_SECONDS"


@pytest.fixture
def job(tmp_path, monkeypatch):
    """One pack of three epochs that keeps a checkpoint after each."""
    monkeypatch.setenv(SECONDS, "0")
    planned = plan_study(studies.parse(THREE_PACKS.replace("epochs = 2", "epochs = 3"), "three"))
    store = Store(tmp_path / "store")
    return missing_jobs(planned, store, arrange(planned, store, executor="serial", threads=1))[-1]


def stopped_at(epoch):
    def on_epoch(done):
        if done == epoch:
            raise KeyboardInterrupt

    return on_epoch


def checkpoints(job):
    return list((Store(job.store).root / "checkpoints").iterdir())


def logits(job):
    return [
        path.read_bytes() for path in sorted(Store(job.store).root.glob("members/*/*/logits.safetensors"))
    ]


def test_a_stopped_pack_goes_on_and_leaves_no_checkpoint(job, tmp_path):
    told = []
    with pytest.raises(KeyboardInterrupt):
        work(job, stopped_at(3))
    (left,) = checkpoints(job)
    assert left.name.endswith("-2")
    assert {(one.status, one.note) for one in work(job, told.append)} == {("done", None)}
    assert told == [2, 3]
    assert checkpoints(job) == []
    whole = job.model_copy(
        update={"store": str(tmp_path / "whole"), "checkpoint_seconds": CHECKPOINT_SECONDS}
    )
    work(whole, lambda epoch: None)
    assert logits(job) == logits(whole)
    assert not (tmp_path / "whole" / "checkpoints").exists()


def test_a_damaged_checkpoint_is_told_and_the_pack_starts_anew(job):
    told = []
    with pytest.raises(KeyboardInterrupt):
        work(job, stopped_at(2))
    (left,) = checkpoints(job)
    (left / "tensors.safetensors").write_bytes(b"")
    outcomes = work(job, told.append)
    assert {one.status for one in outcomes} == {"done"}
    assert all("cannot be used (tensors.safetensors has 0 bytes" in one.note for one in outcomes)
    assert told == [1, 2, 3]


@pytest.mark.parametrize("text", ["often", "-1", "nan", "inf", ""])
def test_seconds_that_cannot_be_are_refused_before_a_store_is_made(command, folder, monkeypatch, text):
    monkeypatch.setenv(SECONDS, text)
    said = command("run", "digits", "--executor", "serial")
    assert said.code == 2
    assert f"{SECONDS} = {text!r} is not a number of seconds" in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert list(folder.iterdir()) == []
