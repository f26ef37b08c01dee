"""A run is killed again and again, at random times, and ends byte for byte as if nothing had happened."""

import contextlib
import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

KILLS, OF_GROUPS, EPOCHS = 30, 2, 24

STUDY = """
name = "killed"
description = "three packs: conventional, on the sphere, and averaged weights"
family = "convnet"
options = {{ invariance = "practical" }}
dataset = "digits"
train_size = 100
validation_size = 20
widths = [2]
pool = 2
stepping = {{ pack = 2 }}
keep_weights = true

[recipe]
epochs = {epochs}
batch_size = 32
crop_padding = 1

[record]
steps = 2
test_size = 50

[[arms]]
name = "bn"
recipe = {{ learning_rate = 0.05, weight_decay = 1e-3 }}

[[arms]]
name = "sphere"
mode = "sphere"
recipe = {{ base = "kodryan2022", effective_learning_rate = 1e-2 }}

[[arms]]
name = "averaged"
method = "swa"
method_options = {{ start = 0.2 }}
recipe = {{ learning_rate = 0.05, weight_decay = 1e-3 }}
"""

# Imports torch once; every command is then a process of its own, in a group of its own.
SERVER = """
import json, os, sys
import scipy.stats, sklearn.datasets, torch, torch._dynamo
import ensembudget.executors._worker, ensembudget.executors.serial
import ensembudget.verbs.plan, ensembudget.verbs.run
from ensembudget.cli import main

def command(environment, arguments, log):
    os.setsid()
    os.environ.update(environment)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
    os.dup2(1, 2)
    try:
        code = main(arguments)
    except SystemExit as left:
        code = left.code
    sys.stdout.flush()
    os._exit(code if isinstance(code, int) else 1)

for line in sys.stdin:
    pid = os.fork()
    if not pid:
        command(*json.loads(line))
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
"""

EVERY_EPOCH = {"ENSEMBUDGET_CHECKPOINT_SECONDS": "0"}


class Server:
    """Runs commands of ensembudget, one at a time, in processes that may be killed."""

    def __init__(self, folder: Path) -> None:
        self._log, self._running = folder / "log.txt", 0
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        )

    def start(self, *arguments: str, **environment: str) -> int:
        self._process.stdin.write(json.dumps([environment, arguments, str(self._log)]) + "\n")
        self._process.stdin.flush()
        self._running = int(self._process.stdout.readline())
        return self._running

    def end(self) -> int:
        """Waits for the command; 0 is success, 9 is SIGKILL."""
        status, self._running = int(self._process.stdout.readline()), 0
        return status

    def __call__(self, *arguments: str, **environment: str) -> None:
        self.start(*arguments, **environment)
        assert self.end() == 0, self._log.read_text()

    def close(self) -> None:
        if self._running:  # a test that failed
            kill(self._running)
        with self._process:  # closes its pipes and waits
            pass


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path)
    yield made
    made.close()


class Chain:
    """A store whose runs are killed; a checkpoint that is seen may never be earlier than one before it."""

    def __init__(self, store: Path) -> None:
        self._checkpoints = store / "checkpoints"
        self._claims = store / "claims"
        self.epochs: dict[str, int] = {}
        # Seconds, as last seen: from a start to the first new checkpoint, and from one to the next.
        self.start, self.pace = 10.0, 0.5

    def wait_for_new(self, count: int, alive: Callable[[], bool]) -> None:
        """Until so many checkpoints came that were not there before, or the run has ended."""
        began = last = time.monotonic()
        while count and alive():
            time.sleep(0.005)
            if not self.look():
                continue
            count, now = count - 1, time.monotonic()
            if last == began:
                self.start = now - began
            else:
                self.pace = now - last
            last = now

    def look(self) -> int:
        """How many packs went on since the last look."""
        newest: dict[str, int] = {}
        for path in self._checkpoints.iterdir() if self._checkpoints.exists() else ():
            pack, _, epoch = path.name.partition("-")
            newest[pack] = max(int(epoch), newest.get(pack, 0))
        new = {pack: epoch for pack, epoch in newest.items() if epoch != self.epochs.get(pack)}
        for pack, epoch in new.items():
            assert epoch > self.epochs.get(pack, 0), "a pack started anew"
        self.epochs |= new
        return len(new)

    def free_claims(self) -> None:
        """They decide nothing; a run would wait some seconds for those of a killed one."""
        for claim in self._claims.iterdir() if self._claims.exists() else ():
            claim.unlink(missing_ok=True)


def kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def is_running(pid: int) -> bool:
    return group_of(pid) is not None


def group_of(pid: int) -> int | None:
    """The group of a process that runs; None where it has ended, whether its parent has asked or not."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, _, group = told.rpartition(")")[2].split()[:3]
    return None if state == "Z" else int(group)


def wait_for_end(group: int) -> None:
    """Until nothing of it runs: a run that starts while a worker dies leaves what the worker staged."""
    deadline = time.monotonic() + 30
    while group in {group_of(int(one.name)) for one in Path("/proc").iterdir() if one.name.isdecimal()}:
        assert time.monotonic() < deadline, "a killed group goes on"
        time.sleep(0.01)


def members_of(store: Path) -> dict[str, bytes]:
    """All that was published, by its place in the store; of a description, all but the time it took."""
    found = {}
    for path in sorted(store.glob("members/*/*/*")):
        content = path.read_bytes()
        if path.name == "member.json":
            document = json.loads(content)
            del document["member"]["seconds"], document["sha256"]
            content = json.dumps(document).encode()
        found[str(path.relative_to(store))] = content
    return found


def tables_of(report: Path) -> dict[str, list]:
    tables = {}
    for path in sorted(report.glob("*.csv")):
        with path.open(newline="") as file:
            tables[path.name] = [
                {k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)
            ]
    return tables


@pytest.mark.slow
@pytest.mark.long
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_never_was(
    server, tmp_path, cache, times, attacked
):
    draws, kills = random.Random(0), KILLS * times
    (tmp_path / "study.toml").write_text(STUDY.format(epochs=EPOCHS * times))
    alone = ("--executor", "serial", "--threads", "1")
    server("run", "study.toml", "--store", "whole", *alone)
    start = ("run", "study.toml", "--store", "killed")
    chain = Chain(tmp_path / "killed")
    for number in range(kills - OF_GROUPS):
        pid = server.start(*start, *alone, **EVERY_EPOCH)
        epochs = draws.choice((0, 1, 2)) if number else 2
        chain.wait_for_new(epochs, lambda pid=pid: is_running(pid))
        time.sleep(draws.uniform(0, chain.pace if epochs else chain.start))
        kill(pid)
        assert server.end() == signal.SIGKILL, "the run ended before it was killed: it needs more epochs"
        chain.look()
        chain.free_claims()
    for _ in range(OF_GROUPS):
        kill_a_group(tmp_path, chain, start, draws.uniform(0, chain.pace))
    server(*start, *alone, **EVERY_EPOCH)

    whole = members_of(tmp_path / "whole")
    assert {Path(name).name for name in whole} == {
        "member.json", "logits.safetensors", "weights.safetensors", "epochs.parquet", "steps.parquet"
    }  # fmt: skip
    assert len(whole) == 3 * 2 * 5
    assert members_of(tmp_path / "killed") == whole
    assert sum(chain.epochs.values()) > kills / 2
    for name in ("checkpoints", "tmp"):
        assert list((tmp_path / "killed" / name).iterdir()) == []
    for store in ("whole", "killed"):
        server("report", "study.toml", "--store", store, "--out", f"report-{store}")
    tables = tables_of(tmp_path / "report-whole")
    assert {"history.csv", "members.csv", "scores.csv"} <= set(tables)
    assert tables_of(tmp_path / "report-killed") == tables
    attacked("P2", "a run killed by SIGKILL at random times, again and again", kills)


def kill_a_group(folder: Path, chain: Chain, start: tuple[str, ...], later: float) -> None:
    """A command as a user types it, killed with its worker."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ensembudget", *start, "--workers", "1", "--threads", "1"],
        cwd=folder,
        env={**os.environ, **EVERY_EPOCH, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    chain.wait_for_new(1, lambda: process.poll() is None)
    time.sleep(later)
    kill(process.pid)
    assert process.wait() == -signal.SIGKILL
    wait_for_end(process.pid)
    chain.look()
    chain.free_claims()
