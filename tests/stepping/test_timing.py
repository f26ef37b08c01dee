"""Whole steps are timed, and what cannot be done is a fault with a reason, never an exception."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from ensembudget.catalog import WAYS
from ensembudget.datasets._cache import cache_folder
from ensembudget.families._layers import Dropout
from ensembudget.records import Recording, Stepping, Task
from ensembudget.stepping.measured import Timing, shape_of
from ensembudget.stepping.place import Place
from ensembudget.stepping.timing import STEPS, random_data, summarise, time_steps, timed_step
from ensembudget.stepping.ways._base import Way

TASK = Task(10, 1, 8)
PLACE = Place(device="cpu", workers=2, threads=1)
SPHERE = {"mode": "sphere", "effective_learning_rate": 1e-3, "weight_decay": 0.0, "momentum": 0.0}


def timed(cell, how, device="cpu") -> Timing:
    """No longer than the fewest steps take."""
    return time_steps(cell, TASK, how, device, seconds=0.0)


@pytest.mark.parametrize("layout", ["channels_last", "contiguous"])
@pytest.mark.parametrize("way", list(WAYS))
def test_every_way_is_timed(way, layout, tiny_cell):
    how = Stepping(pack=3, way=way, layout=layout)
    found = timed(tiny_cell, how)
    assert found.stepping == how
    assert found.fault is None
    assert 0 < found.seconds < 10
    assert found.first >= 0


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bfloat16"},
        {"precision": "float64"},
        SPHERE,
        {"dropout": 0.3},
        {"record": Recording()},
        {"train_size": 20},
        {"train_size": 1},
        {"normalisation": "imagenet", "crop_padding": 0, "flip": False},
        {"family": "vgg", "options": {"depth": 11}},
    ],
    ids=str,
)
def test_every_cell_is_timed(changes, make_cell):
    found = timed(make_cell(**changes), Stepping(pack=2))
    assert found.fault is None
    assert found.seconds > 0


@pytest.mark.slow
def test_compiling_is_told_from_stepping(tiny_cell):
    found = timed(tiny_cell.model_copy(update={"width": 5}), Stepping(compiled=True))
    assert found.fault is None
    assert found.first > 10 * found.seconds > 0


def test_a_larger_pack_takes_longer(make_cell):
    cell = make_cell(width=16)
    one, many = (timed(cell, Stepping(pack=pack)).seconds for pack in (1, 16))
    assert many > one


def test_a_step_is_of_whole_batches_through_a_whole_step(make_cell, plug_in):
    seen = []

    def watched(network, single, members):
        return lambda images: seen.append((tuple(images.shape), images.dtype)) or network(images)

    plug_in("ways", "watched", way=Way(watched))
    once = timed_step(make_cell(precision="float64"), TASK, Stepping(pack=3, way="watched"), "cpu")
    assert once() > 0
    assert seen == [((32, 3, 8, 8), torch.float64)]


def test_a_step_with_dropout_draws_its_masks(make_cell, plug_in):
    rates = []

    def watched(network, single, members):
        layers = [layer for layer in network.modules() if isinstance(layer, Dropout)]
        return lambda images: rates.extend(layer.rate for layer in layers) or network(images)

    plug_in("ways", "watched", way=Way(watched, lambda conditions: []))
    timed_step(make_cell(dropout=0.3), TASK, Stepping(pack=2, way="watched"), "cpu")()
    assert set(rates) == {0.3}


class Steps:
    """Steps that take this long, the last of them for ever."""

    def __init__(self, *seconds):
        self.seconds, self.made = seconds, 0

    def __call__(self):
        self.made += 1
        return self.seconds[min(self.made, len(self.seconds)) - 1]


def test_a_timing_is_the_median_and_what_the_first_step_took_more():
    steps = Steps(9.0, 100.0, 1.0, 2.0, 3.0, 4.0, 50.0)
    found = summarise(Stepping(), steps, 0.0)
    assert (found.seconds, found.first) == (3.0, 6.0)
    assert steps.made == 2 + STEPS


def test_a_first_step_that_is_faster_adds_nothing():
    assert summarise(Stepping(), Steps(1.0, 2.0), 0.0).first == 0


def test_short_steps_are_timed_for_a_while():
    steps = Steps(0.01)
    assert summarise(Stepping(), steps, 0.25).seconds == 0.01
    assert 25 <= steps.made - 2 <= 26


# What cannot be done.


def test_what_is_refused_is_a_fault(make_cell):
    for changes, how, word in (
        ({}, Stepping(captured=True), "CUDA"),
        ({"dropout": 0.3}, Stepping(way="vmap"), "dropout"),
        ({"record": Recording()}, Stepping(captured=True), "recorded"),
    ):
        found = timed(make_cell(**changes), how)
        assert (found.stepping, found.seconds) == (how, None)
        assert word in found.fault


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("no kernel\nand a long story"), "RuntimeError: no kernel"),
        (MemoryError(), "MemoryError: "),
        (torch.OutOfMemoryError("tried to allocate 80 GiB"), "OutOfMemoryError: tried to allocate 80 GiB"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("after", [0, 1, 3])
def test_what_raises_is_a_fault_in_one_line(error, said, after, tiny_cell, plug_in):
    steps = itertools.count()

    def failing(network, single, members):
        def forward(images):
            if next(steps) == after:
                raise error
            return network(images)

        return forward

    plug_in("ways", "failing", way=Way(failing))
    found = timed(tiny_cell, Stepping(way="failing"))
    assert found == Timing(stepping=Stepping(way="failing"), fault=said)
    assert Timing.from_json(found.to_json()) == found


def test_a_way_that_cannot_be_built_is_a_fault(tiny_cell, plug_in):
    plug_in("ways", "failing", way=Way(lambda *arguments: 1 / 0))
    found = timed(tiny_cell, Stepping(way="failing"))
    assert found.fault == "ZeroDivisionError: division by zero"


@pytest.mark.slow
def test_a_compiler_that_is_missing_is_a_fault(tiny_cell, tmp_path):
    """In a process of its own, that finds neither a compiler nor compiled code."""
    code = (
        "import sys, torch; from ensembudget.records import Cell, Stepping, Task\n"
        "from ensembudget.stepping.timing import time_steps\n"
        "torch.set_num_threads(1); cell = Cell.from_json(sys.argv[1])\n"
        "print(time_steps(cell, Task(10, 1, 8), Stepping(compiled=True), 'cpu').to_json())"
    )
    without = {
        "CXX": str(tmp_path / "none"),
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code, tiny_cell.model_copy(update={"width": 7}).to_json()],
        env=os.environ | without, capture_output=True, check=True, timeout=300,
    )  # fmt: skip
    assert "compiler" in Timing.from_json(done.stdout).fault


def test_an_interrupt_is_no_fault(tiny_cell, plug_in):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    plug_in("ways", "interrupted", way=Way(interrupted))
    with pytest.raises(KeyboardInterrupt):
        timed(tiny_cell, Stepping(way="interrupted"))


def test_timing_neither_reads_nor_touches_the_global_random_states(tiny_cell):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    timed(tiny_cell, Stepping(pack=2))
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


# What a timing is of.


def test_images_of_no_meaning_fit_the_task():
    data = random_data(Task(7, 3, 16), 40)
    assert data.task == (7, 3, 16)
    assert data.arrays.train_inputs.shape == (40, 16, 16, 3)
    assert data.arrays.train_inputs.dtype == np.uint8
    assert 0 <= data.arrays.train_labels.min() <= data.arrays.train_labels.max() < 7
    assert np.array_equal(data.arrays.train_inputs, random_data(Task(7, 3, 16), 40).arrays.train_inputs)


def path(cell, task=TASK, place=PLACE, hardware="a machine"):
    return shape_of(cell, task, place, hardware).path


def test_timings_lie_in_the_cache(tiny_cell):
    assert path(tiny_cell).parent == cache_folder() / "timings"


@pytest.mark.parametrize(
    "changes",
    [
        {"family": "vgg", "options": {"depth": 11}},
        {"options": {"depth": 16}},
        {"width": 5},
        {"batch_size": 31},
        {"train_size": 30},
        {"precision": "bfloat16"},
        {"dropout": 0.1},
        {"record": Recording()},
        SPHERE,
    ],
    ids=str,
)
def test_what_decides_a_steps_time_has_timings_of_its_own(changes, tiny_cell, make_cell):
    assert path(make_cell(**changes)) != path(tiny_cell)


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 99},
        {"learning_rate": 0.5},
        {"weight_decay": 0.0},
        {"schedule": "cosine"},
        {"train_size": 1000},
        {"validation_size": 0},
        {"dataset": "other", "dataset_digest": "0" * 64},
    ],
    ids=str,
)
def test_what_does_not_shares_them(changes, tiny_cell, make_cell):
    assert path(make_cell(**changes)) == path(tiny_cell)


def test_other_machines_tasks_and_places_have_timings_of_their_own(tiny_cell):
    others = [
        path(tiny_cell, task=Task(10, 1, 16)),
        path(tiny_cell, place=PLACE.model_copy(update={"workers": 1})),
        path(tiny_cell, place=PLACE.model_copy(update={"threads": 2})),
        path(tiny_cell, place=PLACE.model_copy(update={"device": "cuda"})),
        path(tiny_cell, hardware="another machine"),
        path(tiny_cell),
    ]
    assert len(set(others)) == len(others)


def test_another_torch_has_timings_of_its_own(tiny_cell, monkeypatch):
    before = path(tiny_cell)
    monkeypatch.setattr(torch, "__version__", "99.0")
    assert path(tiny_cell) != before
