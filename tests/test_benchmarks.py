"""The benchmark harness runs a study of its own and joins what it costs to what it is worth."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.test_costs import packs, ready
from ensembudget import Stepping, SteppingChoice, Store, arrange, plan_study, run, studies
from ensembudget.rendering.render import from_csv
from ensembudget.stepping.ways._base import Way
from ensembudget.tables.memory_split import COSTS
from helpers import outside_pytest

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
stepping = { pack = 2, way = "separate", layout = "contiguous" }

[recipe]
epochs = 1
crop_padding = 0
flip = false
"""


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").rglob("*.py")), ids=lambda path: path.stem)
def test_every_benchmark_can_be_imported(path):
    """Types are not checked here, and most benchmarks take minutes: a renamed name would be found late."""
    importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


@pytest.mark.slow
def test_costs_are_measured_and_joined_to_the_memory_split(tmp_path):
    (tmp_path / "tiny.toml").write_text(STUDY)
    where = ["--study", str(tmp_path / "tiny.toml"), "--store", str(tmp_path / "store")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "benchmarks", "-q", *where, "--out", str(tmp_path / "out")],
        cwd=ROOT, env=outside_pytest(), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rows = from_csv((tmp_path / "out" / "memory_split.csv").read_text())
    assert [row["members"] for row in rows] == [1, 2]
    assert all(row[column.name] > 0 for row in rows for column in COSTS)
    assert all(row["cnll"] > 0 for row in rows)


def test_costs_are_those_of_the_steps_that_members_were_trained_by(digits, tmp_path, plug_in):
    """Whatever a study says now: what each member's environment records."""
    stepped = []

    def counted(network, single, members):
        return lambda images: stepped.append(members) or network(images)

    plug_in("ways", "counted", way=Way(counted))
    planned, store = plan_study(studies.parse(STUDY, "tiny")), Store(tmp_path / "store")
    how = SteppingChoice(pack=2, way="counted", layout="contiguous")
    run(
        planned,
        store,
        arrangement=arrange(planned, store, executor="serial", stepping=how),
        executor="serial",
    )
    split = max(planned.splits, key=lambda one: one.members)
    assert [one.stepping for one in packs(planned, store, split)] == [Stepping(**how.fixed)]
    stepped.clear()
    ((pack, batch),) = ready(planned, store, split, digits, "cpu")
    losses = pack.step(*batch, None)
    assert stepped == [2]
    assert losses.shape == (2,)
    kernels = [p for p in pack.network.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] > 1]
    assert kernels
    assert not any(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)


def test_members_that_were_stepped_alone_are_timed_alone(tmp_path):
    planned, store = plan_study(studies.parse(STUDY, "tiny")), Store(tmp_path / "store")
    run(planned, store, executor="serial", arrangement=arrange(
        planned, store, executor="serial", stepping=SteppingChoice(pack=1, layout="channels_last")
    ))  # fmt: skip
    split = max(planned.splits, key=lambda one: one.members)
    assert [(len(one.runs), one.stepping.way) for one in packs(planned, store, split)] == [
        (1, "separate")
    ] * 2
