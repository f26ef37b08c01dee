"""Attack D: the disk is full, fails, interrupts, writes less than it was given, or gives too little room."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from traced_disk import ROOT, clean

from helpers import THREE_PACKS

NAMESPACE = ["unshare", "-Urm"]


def _may_mount() -> bool:
    """Whether a user namespace of one's own is to be had here, in which a disk can be mounted."""
    if not shutil.which("unshare"):
        return False
    mounts = [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", str(Path(__file__).parent)]
    return subprocess.run(mounts, capture_output=True, check=False).returncode == 0


mounted = pytest.mark.skipif(not _may_mount(), reason="no user namespace in which to mount a small disk")


@pytest.mark.slow
def test_a_disk_that_refuses_is_told_loses_nothing_and_the_same_resumes(times, attacked):
    """ENOSPC, EIO, EDQUOT: one message that names the store; EINTR and short writes: survived."""
    found = clean("store_attacks", "refusals", seed=0, most=800 * times)
    assert found["wrong"] == []
    assert found["cases"] >= 640
    attacked("P6", "ENOSPC, EIO, EDQUOT, EINTR or a short write at a call", found["cases"])


def test_a_limit_on_the_size_of_files_is_told_and_loses_nothing(attacked):
    found = clean("store_attacks", "file_limits", sizes=[1 + 13 * n**2 for n in range(24)])
    assert found["wrong"] == []
    attacked("P6", "RLIMIT_FSIZE of 24 sizes", found["cases"])


@mounted
def test_a_disk_that_is_too_small_is_told_and_loses_nothing(attacked):
    found = clean("store_attacks", "small_disks", *NAMESPACE, pages=list(range(1, 17)))
    assert found["wrong"] == []
    attacked("P6", "tmpfs with 1 to 16 free pages", found["cases"])


RUNS = """
import subprocess, sys
def run():
    return subprocess.run([sys.executable, "-m", "ensembudget", "run", "three.toml", "--executor", "serial",
                           "--store", "disk/store"], capture_output=True, text=True, check=False)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size={size}", "tmpfs", "disk"], check=True)
full = run()
print(full.returncode, full.stderr.count("Traceback"), full.stderr.strip().splitlines()[-1])
subprocess.run(["mount", "-o", "remount,size=9m", "disk"], check=True)
print(run().returncode)
"""


@mounted
@pytest.mark.slow
@pytest.mark.parametrize("size", ["4k", "20k"])
def test_a_run_into_a_full_disk_says_so_and_the_same_command_resumes(size, folder, monkeypatch, attacked):
    (folder / "three.toml").write_text(THREE_PACKS)
    (folder / "disk").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    code = RUNS.replace("{size}", size)
    done = subprocess.run(
        [*NAMESPACE, sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("2 0 "), first
    assert "No space left on device" in first
    assert "--store" in first
    assert second == "0"
    attacked("P6", f"`run` with its store on a tmpfs of {size}", 1)
