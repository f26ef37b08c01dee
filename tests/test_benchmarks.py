"""The benchmark harness runs a study of its own and joins what it costs to what it is worth."""

import subprocess
import sys
from pathlib import Path

import pytest

from ensembudget.rendering.render import from_csv
from ensembudget.tables.memory_split import COSTS

ROOT = Path(__file__).parents[1]
STUDY = """
name = "tiny"
description = "one budget, two splits"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 100
budgets = ["6k"]
members = [1, 2]
tolerance = 0.5
stepping = { pack = 2 }

[recipe]
epochs = 1
crop_padding = 0
flip = false
"""


@pytest.mark.slow
def test_costs_are_measured_and_joined_to_the_memory_split(tmp_path):
    (tmp_path / "tiny.toml").write_text(STUDY)
    where = ["--study", str(tmp_path / "tiny.toml"), "--store", str(tmp_path / "store")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "benchmarks", "-q", *where, "--out", str(tmp_path / "out")],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rows = from_csv((tmp_path / "out" / "memory_split.csv").read_text())
    assert [row["members"] for row in rows] == [1, 2]
    assert all(row[column.name] > 0 for row in rows for column in COSTS)
    assert all(row["cnll"] > 0 for row in rows)
