"""Slurm through submitit: by submitit's local stand-in, and by commands that play Slurm's on this machine."""

import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

import fake_slurm
from ensembudget import studies
from ensembudget.catalog import EXECUTORS
from ensembudget.errors import ArgumentError, DeviceError, UnknownPartError
from ensembudget.executors._base import Job
from ensembudget.executors._spec import executor_of
from ensembudget.records import Run, Stepping, SteppingChoice
from ensembudget.stepping.place import Place
from ensembudget.store import Store
from ensembudget.verbs.plan import plan_study
from ensembudget.verbs.run import arrange, run
from helpers import CELL, ROOT, THREE_PACKS

needs_submitit = pytest.mark.skipif(find_spec("submitit") is None, reason="submitit is not installed")


def logits(store: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in store.glob("members/*/*/logits.safetensors")}


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> Path:
    """Slurm is played on this machine; the folder in which it keeps what it was told."""
    fake_slurm.install(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setenv("FAKE_SLURM", str(tmp_path / "fake"))
    return tmp_path / "fake"


# Slurm takes the node away as packs of width 3 first begin, and width 4 always takes its own down.
FRAIL = """
import os, signal
from pathlib import Path
from ensembudget.stepping.ways._base import Way

def forward(network, single, members):
    width, notes = len(next(network.parameters())) // members, Path(os.environ["NOTES"])
    task = os.environ.get("SLURM_ARRAY_TASK_ID")
    begun = len(list(notes.glob(f"{width}-{task}-*")))
    (notes / f"{width}-{task}-{begun}").touch()
    if width == 3 and begun == 0:
        os.kill(os.getpid(), signal.SIGUSR2)
    if width == 4:
        os.write(2, b"no memory left for width 4")
        os.kill(os.getpid(), signal.SIGKILL)
    return network

way = Way(forward)
"""


@needs_submitit
@pytest.mark.slow
def test_an_array_is_requeued_where_it_is_preempted_and_a_task_that_always_dies_has_failed(
    slurm, install, tmp_path, monkeypatch
):
    install("frail", ways={"frail": FRAIL})
    (tmp_path / "notes").mkdir()
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=":")
    planned, store = plan_study(studies.parse(THREE_PACKS, "three")), Store(tmp_path / "store")
    named = f"slurm:partition=gpu,account=me,minutes=60,memory=2.5,retries=1,folder={tmp_path / 'logs'}"
    way = SteppingChoice(way="frail", pack=2)
    where = arrange(planned, store, executor=named, workers=2, threads=1, stepping=way)
    assert where.place == Place(device="cpu", workers=2, threads=1)
    outcomes = run(planned, store, executor=named, arrangement=where)

    assert sorted(one.key for one in outcomes) == sorted(one.key for one in planned.runs)
    widths = {one.key: one.cell.width for one in planned.runs}
    assert {widths[one.key] for one in outcomes if one.status == "done"} == {3}
    failed = [one for one in outcomes if one.status == "failed"]
    assert {widths[one.key] for one in failed} == {4}
    assert all("ended without an answer" in one.reason for one in failed)
    assert all("Tried 2 times" in one.reason for one in failed)
    assert all("no memory left for width 4" in store.failure_log(one.key) for one in failed)
    # Each of width 3 was begun again by Slurm and not by us, width 4 by us.
    array, single = sorted(slurm.glob("script-*"))
    assert len(list((tmp_path / "notes").glob("3-*"))) == 4
    asked = [
        "array=0-2%2",
        "partition=gpu",
        "account=me",
        "time=60",
        "mem=2560MB",
        "requeue",
        "cpus-per-task=1",
    ]
    for words in asked:
        assert f"#SBATCH --{words}\n" in array.read_text()
    assert "--array" not in single.read_text()

    alone = Store(tmp_path / "alone")
    run(planned, alone, executor="serial")
    same = logits(alone.root)
    assert logits(store.root).items() <= same.items()
    assert len(logits(store.root)) == 4


@needs_submitit
def test_what_sbatch_refuses_is_said_in_its_words(slurm, tmp_path):
    (tmp_path / "bin" / "sbatch").write_text(
        "#!/bin/sh\necho 'sbatch: error: invalid partition: gpu' >&2; exit 1\n"
    )
    job = Job(
        runs=[Run(cell=CELL, seed=0)],
        store="store",
        device="cpu",
        threads=1,
        stepping=Stepping(),
        keep_weights=False,
    )
    part = executor_of(f"slurm:partition=gpu,folder={tmp_path / 'logs'}")
    with pytest.raises(DeviceError, match="Slurm refuses the jobs: sbatch: error: invalid partition: gpu"):
        list(part.execute([job], 1, lambda number, epoch: None))


HOLDING = """
import os, time
from pathlib import Path
from ensembudget.stepping.ways._base import Way

def forward(network, single, members):
    Path(os.environ["NOTES"], str(os.getpid())).touch()
    time.sleep(600)

way = Way(forward)
"""


@needs_submitit
@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["slurm", "local"])
def test_ctrl_c_leaves_nothing_in_the_queue(cluster, slurm, install, tmp_path, monkeypatch):
    install("holding", ways={"holding": HOLDING})
    notes = tmp_path / "notes"
    notes.mkdir()
    monkeypatch.setenv("NOTES", str(notes))
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=":")
    (tmp_path / "three.toml").write_text(THREE_PACKS)
    asked = ["run", "three.toml", "--store", "store", "--stepping", "way=holding,pack=2", "--workers", "1"]
    parent = subprocess.Popen(
        [sys.executable, "-m", "ensembudget", *asked, "--executor", f"slurm:cluster={cluster},folder=logs"],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until = time.monotonic() + 240
    while not list(notes.iterdir()) and time.monotonic() < until:
        time.sleep(0.2)
    (process,) = (int(path.name) for path in notes.iterdir())
    parent.send_signal(signal.SIGINT)
    _, err = parent.communicate(timeout=120)
    assert parent.returncode == 130, err
    assert "rerun the same command to resume" in err
    until = time.monotonic() + 20
    while Path(f"/proc/{process}").exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert not Path(f"/proc/{process}").exists()


@needs_submitit
@pytest.mark.slow
def test_the_local_stand_in_trains_to_the_logits_of_one_process(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=":")
    planned = plan_study(studies.parse(THREE_PACKS, "three"))
    one, other = Store(tmp_path / "one"), Store(tmp_path / "other")
    run(planned, one, executor="serial")
    outcomes = run(planned, other, executor=f"slurm:cluster=local,folder={tmp_path / 'logs'}", workers=2)
    assert {found.status for found in outcomes} == {"done"}
    assert logits(one.root) == logits(other.root)


@needs_submitit
@pytest.mark.parametrize(
    ("options", "device", "error", "message"),
    [
        ("cluster=pbs", "cpu", ArgumentError, "'pbs' of executor 'slurm' is none of slurm, local"),
        ("minutes=0", "cpu", ArgumentError, "minutes = 0 of executor 'slurm' is below 1"),
        ("memory=0", "cpu", ArgumentError, "memory = 0.0 of executor 'slurm' is below 0.1"),
        ("retries=-1", "cpu", ArgumentError, "retries = -1"),
        ("", "cuda:1", DeviceError, "'cuda:1' cannot be asked of Slurm"),
        ("cluster=local", "cpux", DeviceError, "'cpux'"),
    ],
)
def test_what_slurm_cannot_be_asked_is_refused(options, device, error, message, slurm):
    with pytest.raises(error, match=message):
        executor_of(f"slurm:{options}").places(device, None, None)


@needs_submitit
def test_a_place_says_how_many_tasks_of_an_array_run_at_one_time(slurm):
    places = executor_of("slurm").places
    assert places("cuda", 7, 2) == [Place(device="cuda", workers=7, threads=2)]
    assert places("cpu", None, None) == [Place(device="cpu", workers=32, threads=1)]
    with pytest.raises(DeviceError, match="workers 0 is below 1"):
        places("cpu", 0, None)
    assert not EXECUTORS["slurm"].here


@needs_submitit
def test_where_there_is_no_slurm_it_says_what_can_be_done(tmp_path, folder, command, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    said = command("run", "digits", "--executor", "slurm")
    assert said.code == 2
    assert "sbatch, srun, sacct, scancel cannot be found here" in said.err
    assert "slurm:cluster=local" in said.err
    assert list(folder.iterdir()) == []


def test_where_submitit_is_missing_it_says_how_to_install_it(folder, command, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)  # as if it could not be imported
    with pytest.raises(UnknownPartError, match=r"pip install 'ensembudget\[slurm\]'"):
        EXECUTORS["slurm"].places("cpu", None, None)
    said = command("run", "digits", "--executor", "slurm")
    assert said.code == 2
    assert "Traceback" not in said.err
    assert list(folder.iterdir()) == []


def test_no_jobs_ask_slurm_nothing():
    assert list(EXECUTORS["slurm"].execute([], 2, lambda job, epoch: None)) == []


def test_ls_lists_it(command):
    said = command("ls", "executors")
    assert "slurm" in said.out
