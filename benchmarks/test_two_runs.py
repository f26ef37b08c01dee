"""Two `run --workers 1` on one store at once beside one: whole commands, really training.

Command: pytest benchmarks/test_two_runs.py -m slow -s. Takes about 10 minutes on two idle cores. Expect 0.5
to 0.6 there: what is above a half is the start of both commands and the last pack, which one waits for. On a
machine that others use the ratio says little, and may even be below a half, as two processes get more of it.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROUNDS = 2
BOUND = 0.6
STUDY = """
name = "shared"
description = "twelve packs"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 900
validation_size = 100
widths = [6]
members = [1]
pool = 24
stepping = { pack = 2, compiled = false }

[recipe]
epochs = 40
batch_size = 64
"""


def seconds(folder: Path, runs: int) -> float:
    """That so many commands take which begin at one time on an empty store."""
    folder.mkdir()
    (folder / "shared.toml").write_text(STUDY)
    asked = "run shared.toml --store store --workers 1 --threads 1".split()
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    began = time.monotonic()
    started = [
        subprocess.Popen([sys.executable, "-m", "ensembudget", *asked], cwd=folder, env=env)
        for _ in range(runs)
    ]
    assert [one.wait() for one in started] == [0] * runs
    assert len(list(folder.glob("store/members/*/*"))) == 24
    return time.monotonic() - began


@pytest.mark.slow
def test_two_runs_take_at_most_six_tenths_of_one(tmp_path: Path) -> None:
    ratios = []
    for number in range(ROUNDS):
        alone = seconds(tmp_path / f"alone-{number}", 1)
        ratios.append(seconds(tmp_path / f"together-{number}", 2) / alone)
        print(f"one {alone:.0f} s, two at once {ratios[-1]:.2f} of it")
    assert min(ratios) <= BOUND
