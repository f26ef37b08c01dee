"""Ctrl-C on a real `run` in processes: to all of a terminal's processes, or to the command alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers import ROOT, THREE_PACKS

# The first pack is trained; the second one begins, and does not end.
SLOW = """
import os, time
from pathlib import Path
from ensembudget.stepping.ways._base import Way

def forward(network, single, members):
    notes = Path(os.environ["NOTES"])
    number = len(list(notes.iterdir()))
    (notes / f"{number}-{os.getpid()}").touch()
    if number == 1:
        time.sleep(600)
    return network

way = Way(forward)
"""
LONG = 30.0  # seconds that a busy machine may take over what takes one


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children(process: int) -> set[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True)
    return {int(word) for word in found.stdout.split()}


@pytest.mark.slow
@pytest.mark.parametrize("group", [True, False], ids=["the terminal's", "the command alone"])
def test_ctrl_c_ends_a_run_and_its_processes_and_the_same_command_resumes(
    group, install, tmp_path, monkeypatch
):
    install("slow", ways={"slow": SLOW})
    notes = tmp_path / "notes"
    notes.mkdir()
    (tmp_path / "three.toml").write_text(THREE_PACKS)
    monkeypatch.setenv("NOTES", str(notes))
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=":")
    asked = ["run", "three.toml", "--store", "store", "--workers", "1", "--stepping", "way=slow,pack=2"]
    command = [sys.executable, "-m", "ensembudget", *asked]
    parent = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    until = time.monotonic() + 300
    while len(list(notes.iterdir())) < 2 and time.monotonic() < until:
        time.sleep(0.2)
    workers = children(parent.pid)
    assert {int(path.name.partition("-")[2]) for path in notes.iterdir()} <= workers
    began = time.monotonic()
    (os.killpg if group else os.kill)(parent.pid, signal.SIGINT)
    _, err = parent.communicate(timeout=LONG)
    while any(map(is_running, workers)) and time.monotonic() - began < LONG:
        time.sleep(0.05)
    assert not any(map(is_running, workers))
    assert parent.returncode == 130, err
    assert "Traceback" not in err
    assert err.endswith("ensembudget: interrupted; rerun the same command to resume.\n")
    done = {path: path.stat().st_mtime_ns for path in tmp_path.glob("store/members/*/*/*")}
    assert len(done) == 2 * 2  # two members of two files

    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert again.returncode == 0, again.stderr
    assert "4 members done now" in again.stderr
    after = {path: path.stat().st_mtime_ns for path in tmp_path.glob("store/members/*/*/*")}
    assert len(after) == 6 * 2
    assert done.items() <= after.items()
