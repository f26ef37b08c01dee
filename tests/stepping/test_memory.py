"""Freed memory that is kept: fewer page faults, the same numbers."""

import ctypes
import json
import platform
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from ensembudget.records import Run, Stepping
from ensembudget.stepping.memory import SETTINGS, keep_freed
from ensembudget.training.loop import train

GLIBC = platform.libc_ver()[0] == "glibc"

# Page faults of some steps at 32x32, and what the weights are after them.
STEPS = """
import hashlib, json, resource, sys
import torch
from ensembudget.packing.parts import parts_of
from ensembudget.records import Cell, Run, Stepping, Task
from ensembudget.stepping.memory import keep_freed
from ensembudget.stepping.pack import assemble
from ensembudget.stepping.timing import random_data

torch.set_num_threads(1)
cell, kept = Cell.from_json(sys.argv[1]), sys.argv[2] == "kept"
told = keep_freed() if kept else None
task = Task(10, 3, 32)
parts = parts_of(cell, random_data(task, cell.train_size).arrays)
pack = assemble([Run(cell=cell, seed=0)], parts, task, "cpu", Stepping())
pack.network.train()
draws = torch.Generator().manual_seed(0)

def once():
    for batch in pack.batches([draws]):
        pack.step(*batch, None)

for _ in range(7):  # the heap grows to what a step needs
    once()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    once()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
digest = hashlib.sha256(b"".join(t.detach().numpy().tobytes() for t in pack.network.state_dict().values()))
print(json.dumps([told, faults / 8, digest.hexdigest()]))
"""


def steps(cell, how):
    asked = [sys.executable, "-c", STEPS, cell.to_json(), how]
    found = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not GLIBC, reason="mallopt is glibc's")
def test_steps_fault_fewer_pages_and_give_the_same_bytes(make_cell):
    cell = make_cell(width=8, batch_size=128, train_size=128, validation_size=0)
    told, plain, digest = steps(cell, "plain")
    assert told is None
    told, kept, same_digest = steps(cell, "kept")
    assert told is True
    assert plain > 1000  # else there is nothing to be kept
    assert kept < plain / 4
    assert same_digest == digest


def test_members_are_the_same_to_the_byte_with_and_without(tiny_cell, digits):
    """Without, unless another test of this process was first."""
    runs = [Run(cell=tiny_cell, seed=seed) for seed in (0, 1)]
    before = train(runs, digits, stepping=Stepping(pack=2), keep_weights=True)
    keep_freed()
    after = train(runs, digits, stepping=Stepping(pack=2), keep_weights=True)
    for one, other in zip(before, after, strict=True):
        for field in ("train_loss", "validation_logits", "test_logits"):
            assert getattr(one, field).tobytes() == getattr(other, field).tobytes()
        assert all(np.array_equal(tensor, other.weights[name]) for name, tensor in one.weights.items())


def test_glibc_is_told_and_others_are_not():
    assert keep_freed() == GLIBC
    assert keep_freed() == GLIBC


@pytest.fixture
def anew():
    keep_freed.cache_clear()
    yield
    keep_freed.cache_clear()


def refusing(*arguments):
    raise OSError("no such library")


@pytest.mark.parametrize(
    "library",
    [
        pytest.param(refusing, id="no library"),
        pytest.param(lambda name: SimpleNamespace(), id="no mallopt"),
        pytest.param(lambda name: SimpleNamespace(mallopt=lambda *setting: 0), id="mallopt refuses"),
    ],
)
@pytest.mark.usefixtures("anew")
def test_a_malloc_that_cannot_be_told_is_left_alone(library, monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", library)
    assert keep_freed() is False


@pytest.mark.usefixtures("anew")
def test_malloc_is_told_once(monkeypatch):
    told = []

    def mallopt(*setting):
        told.append(setting)
        return 1

    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    assert keep_freed() is True
    assert keep_freed() is True
    assert dict(told) == SETTINGS
    assert len(told) == len(SETTINGS)
