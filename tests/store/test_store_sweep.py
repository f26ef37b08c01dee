"""What killed runs left behind is removed, and nothing that a living one needs."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ensembudget.records import Plan, Study
from ensembudget.store import Store
from ensembudget.store.paths import DOCUMENTS
from ensembudget.verbs.run import run

HOUR, DAY = 3600, 24 * 3600

STAGES = """
import sys, time
from ensembudget.store import Store
from ensembudget.store.paths import DOCUMENTS
store = Store(sys.argv[1])
with store.staging() as folder:
    (folder / "logits.safetensors").write_bytes(b"half")
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def staging_process(store):
    """A process that stages, and where; it is killed in the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", STAGES, str(store.root)], stdout=subprocess.PIPE, text=True
    )
    with process:
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def aged(path, seconds):
    """Changed so many seconds ago: a folder, or with an ending .json or .lock a file."""
    folder = path if path.suffix not in (".json", ".lock") else path.parent
    folder.mkdir(parents=True, exist_ok=True)
    if folder != path:
        path.write_text("{}")
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def test_staging_of_a_killed_process_is_removed(store, staging_process):
    process, folder = staging_process
    assert names_in(folder) == ["logits.safetensors"]
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert names_in(folder)
    store.sweep()
    assert not folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a number of a process tells nothing of it")
def test_staging_of_a_process_that_ended_unasked_is_removed(store, staging_process):
    """Its parent was killed with it, and whoever inherits it asks late: in containers often never."""
    process, folder = staging_process
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    store.sweep()
    assert not folder.exists()


def test_staging_of_a_living_process_stays(store, staging_process):
    _, folder = staging_process
    aged(folder, 30 * DAY)
    store.sweep()
    assert names_in(folder) == ["logits.safetensors"]


def test_staging_of_this_process_stays(store):
    with store.staging() as folder:
        store.sweep()
        assert folder.is_dir()
    assert not folder.exists()


@pytest.mark.parametrize("name", ["0123456789ab.4000.5f3a", "5f3a" * 8, "kept by a person"])
def test_staging_of_another_machine_or_version_goes_when_it_is_a_week_old(store, name):
    folder = aged(store.root / "tmp" / name, 6 * DAY)
    store.sweep()
    assert folder.is_dir()
    aged(folder, 8 * DAY)
    store.sweep()
    assert not folder.exists()


def test_old_staging_in_which_something_changes_stays(store):
    folder = aged(store.root / "tmp" / "0123456789ab.4000.5f3a", 8 * DAY)
    (folder / "epochs.parquet").write_bytes(b"")
    aged(folder, 8 * DAY)
    store.sweep()
    assert folder.is_dir()


def test_claims_that_nobody_renews_go(store):
    dead = aged(store.root / "claims" / f"{'a' * 64}.lock", 2 * HOUR)
    with store.claimed(["b" * 64]):
        (held,) = set((store.root / "claims").iterdir()) - {dead}
        store.sweep()
        assert held.exists()
    assert not dead.exists()


@pytest.mark.parametrize("folder", [*DOCUMENTS, "."])
def test_a_document_that_was_never_finished_goes(store, folder):
    dead = aged(store.root / folder / ".one.json.5f3a.json", 2 * HOUR)
    fresh = aged(store.root / folder / ".two.json.5f3a.json", 60)
    whole = aged(store.root / folder / "one.json", 300 * DAY)
    store.sweep()
    assert not dead.exists()
    assert fresh.exists()
    assert whole.exists()


def test_sweeping_makes_no_store(store):
    store.sweep()
    assert not store.root.exists()


def test_a_run_sweeps(store):
    dead = aged(store.root / "tmp" / ("5f3a" * 8), 8 * DAY)
    study = Study(name="none", description="", family="vgg", dataset="digits")
    run(Plan(study=study, splits=[], cells=[]), store, executor="serial")
    assert not dead.exists()


def test_sweeping_touches_no_member(store):
    members = aged(store.root / "members" / "ab" / ("ab" * 32), 300 * DAY)
    store.sweep()
    assert members.is_dir()
    assert names_in(store.root) == ["members"]
