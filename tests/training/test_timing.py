"""Trials: whole steps are timed, and what cannot be done is a fault with a reason, never an exception."""

import itertools

import numpy as np
import pytest
import torch

from ensembudget.datasets._cache import cache_folder
from ensembudget.families._layers import Dropout
from ensembudget.records import Recording, Stepping, Task
from ensembudget.stepping import step as stepping
from ensembudget.stepping import timing
from ensembudget.stepping.step import WAYS
from ensembudget.stepping.timing import Place, Timing, random_data, shape_of, time_steps, timed_step

TASK = Task(10, 1, 8)
PLACE = Place(device="cpu", workers=2, threads=1)
SPHERE = {"mode": "sphere", "effective_learning_rate": 1e-3, "weight_decay": 0.0, "momentum": 0.0}


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """No longer than the fewest steps take."""
    monkeypatch.setattr(timing, "SECONDS", 0.0)


@pytest.mark.parametrize("layout", ["channels_last", "contiguous"])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_is_timed(way, layout, tiny_cell):
    how = Stepping(pack=3, way=way, layout=layout)
    found = time_steps(tiny_cell, TASK, how, "cpu")
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
    found = time_steps(make_cell(**changes), TASK, Stepping(pack=2), "cpu")
    assert found.fault is None
    assert found.seconds > 0


@pytest.mark.slow
def test_compiling_is_told_from_stepping(tiny_cell):
    found = time_steps(tiny_cell.model_copy(update={"width": 5}), TASK, Stepping(compiled=True), "cpu")
    assert found.fault is None
    assert found.first > 10 * found.seconds > 0


def test_a_larger_pack_takes_longer(make_cell):
    cell = make_cell(width=16)
    one, many = (time_steps(cell, TASK, Stepping(pack=pack), "cpu").seconds for pack in (1, 16))
    assert many > one


def test_a_step_is_of_whole_batches_through_a_whole_step(make_cell, monkeypatch):
    seen = []

    def watched(network, optimizer, how, members, single, cell):
        def step(images, labels, recorder):
            seen.append((tuple(images.shape), tuple(labels.shape), images.dtype))
            return plain(images, labels, recorder)

        plain = stepping.stepper(network, optimizer, how, members, single, cell)
        return step

    monkeypatch.setattr(timing, "stepper", watched)
    once = timed_step(make_cell(precision="float64"), TASK, Stepping(pack=3), "cpu")
    assert once() > 0
    assert seen == [((32, 3, 8, 8), (3, 32), torch.float64)]


def test_a_step_with_dropout_draws_its_masks(make_cell, monkeypatch):
    rates = []
    monkeypatch.setattr(Dropout, "forward", lambda layer, x: rates.append(layer.rate) or x)
    timed_step(make_cell(dropout=0.3), TASK, Stepping(pack=2), "cpu")()
    assert set(rates) == {0.3}


def fake_steps(monkeypatch, *seconds):
    """Steps that take this long, the last of them for ever; how many were made is counted."""
    made = []

    def step():
        made.append(seconds[min(len(made), len(seconds) - 1)])
        return made[-1]

    monkeypatch.setattr(timing, "timed_step", lambda *arguments: step)
    return made


def test_a_timing_is_the_median_and_what_the_first_step_took_more(tiny_cell, monkeypatch):
    made = fake_steps(monkeypatch, 9.0, 100.0, 1.0, 2.0, 3.0, 4.0, 50.0)
    found = time_steps(tiny_cell, TASK, Stepping(), "cpu")
    assert (found.seconds, found.first) == (3.0, 6.0)
    assert len(made) == 2 + timing.STEPS


def test_a_first_step_that_is_faster_adds_nothing(tiny_cell, monkeypatch):
    fake_steps(monkeypatch, 1.0, 2.0)
    assert time_steps(tiny_cell, TASK, Stepping(), "cpu").first == 0


def test_short_steps_are_timed_for_a_while(tiny_cell, monkeypatch):
    monkeypatch.setattr(timing, "SECONDS", 0.25)
    made = fake_steps(monkeypatch, 0.01)
    assert time_steps(tiny_cell, TASK, Stepping(), "cpu").seconds == 0.01
    assert 25 <= len(made) - 2 <= 26


# What cannot be done.


def test_what_is_refused_is_not_tried(make_cell, monkeypatch):
    monkeypatch.setattr(timing, "timed_step", lambda *arguments: pytest.fail("it was tried"))
    for changes, how, word in (
        ({}, Stepping(captured=True), "CUDA"),
        ({"dropout": 0.3}, Stepping(way="vmap"), "dropout"),
        ({"record": Recording()}, Stepping(captured=True), "recorded"),
    ):
        found = time_steps(make_cell(**changes), TASK, how, "cpu")
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
def test_what_raises_is_a_fault_in_one_line(error, said, after, tiny_cell, monkeypatch):
    steps = itertools.count()

    def failing(network, single, members):
        def forward(images):
            if next(steps) == after:
                raise error
            return network(images)

        return forward

    monkeypatch.setitem(stepping.WAYS, "vmap", failing)
    found = time_steps(tiny_cell, TASK, Stepping(way="vmap"), "cpu")
    assert found == Timing(stepping=Stepping(way="vmap"), fault=said)
    assert Timing.from_json(found.to_json()) == found


def test_a_way_that_cannot_be_built_is_a_fault(tiny_cell, monkeypatch):
    monkeypatch.setitem(stepping.WAYS, "separate", lambda *arguments: 1 / 0)
    found = time_steps(tiny_cell, TASK, Stepping(way="separate"), "cpu")
    assert found.fault == "ZeroDivisionError: division by zero"


def test_a_compiler_that_is_missing_is_a_fault(tiny_cell, monkeypatch):
    def missing():
        def forward(*arguments):
            raise RuntimeError("Failed to find C compiler. Please specify via CC environment variable.")

        return forward

    monkeypatch.setattr(stepping, "compiled", missing)
    found = time_steps(tiny_cell, TASK, Stepping(compiled=True), "cpu")
    assert "Failed to find C compiler" in found.fault


def test_an_interrupt_is_no_fault(tiny_cell, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(timing, "timed_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        time_steps(tiny_cell, TASK, Stepping(), "cpu")


def test_a_trial_neither_reads_nor_touches_the_global_random_states(tiny_cell):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    time_steps(tiny_cell, TASK, Stepping(pack=2), "cpu")
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


# What a timing is of.


def test_images_of_no_meaning_fit_the_task():
    data = random_data(Task(7, 3, 16), 40)
    assert data.task == (7, 3, 16)
    assert data.arrays.train_images.shape == (40, 16, 16, 3)
    assert data.arrays.train_images.dtype == np.uint8
    assert 0 <= data.arrays.train_labels.min() <= data.arrays.train_labels.max() < 7
    assert np.array_equal(data.arrays.train_images, random_data(Task(7, 3, 16), 40).arrays.train_images)


def path(cell, task=TASK, place=PLACE, hardware="a machine"):
    return shape_of(cell, task, place, hardware).path


def test_timings_lie_in_the_cache(tiny_cell):
    assert path(tiny_cell).parent == cache_folder() / "trials"


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
