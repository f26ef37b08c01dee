"""Training that stopped after any epoch and went on ends as if it had not: every number, to the byte."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.optim import SGD

from ensembudget.catalog import MODES
from ensembudget.methods._base import Method
from ensembudget.packing.parts import parts_of
from ensembudget.records import Recording, Run, Stepping
from ensembudget.stepping.pack import assemble
from ensembudget.training.checkpoints import Saver, Underway, put_back, taken
from ensembudget.training.loop import train
from ensembudget.training.units import collector_of
from resuming import Kept, assert_resumes_after_every_epoch, few, results

WRN = {"depth": 10, "invariance": "practical"}
EVERYTHING = Recording(
    every=2, test_size=50, fixed_pass=True, steps=1, curvature=2, curvature_size=10, eigenvalues=1
)
ON_SPHERE = {"effective_learning_rate": 0.01, "weight_decay": 0.0, "momentum": 0.0}


def runs_of(cell, *seeds):
    return [Run(cell=cell, seed=seed) for seed in seeds]


CELLS = {
    "wide_resnet, dropout": {"options": WRN, "dropout": 0.3},
    "wide_resnet, everything recorded": {"options": WRN, "record": EVERYTHING, "dropout": 0.2},
    "vgg, batch norm, float64": {
        "family": "vgg",
        "options": {"depth": 11, "batch_norm": True},
        "learning_rate": 0.01,
        "precision": "float64",
    },
    "convnet, bfloat16, no momentum": {
        "family": "convnet",
        "options": {},
        "precision": "bfloat16",
        "momentum": 0.0,
    },
    "resnet18, sphere, recorded": {
        "family": "resnet18",
        "options": {},
        "width": 1,
        "mode": "sphere",
        "record": Recording(steps=2),
        **ON_SPHERE,
    },
    "two stages": {"schedule": "two_stage", "drop_epoch": 2, "drop_factor": 0.1},
    "adamw, in the middle of its warm-up, clipped": {
        "family": "convnet",
        "options": {},
        "mode": "adamw",
        "learning_rate": 0.01,
        "clip": 0.5,
        "warmup_steps": 4,
        "schedule": "cosine",
        "schedule_by": "step",
    },
}


@pytest.mark.parametrize("changes", CELLS.values(), ids=list(CELLS))
def test_a_pack_that_stopped_after_any_epoch_ends_as_if_it_had_not(make_cell, digits, tmp_path, changes):
    cell = make_cell(**{"width": 2, "train_size": 70, "validation_size": 20, "epochs": 3} | changes)
    there = assert_resumes_after_every_epoch(runs_of(cell, 3, 0), digits, tmp_path, keep_weights=True)
    assert [one.epoch for one in there] == [1, 2, 3]


def test_keeping_checkpoints_changes_nothing(make_cell, digits, tmp_path):
    runs = runs_of(make_cell(width=2, train_size=64, record=EVERYTHING), 3, 0)
    kept, data = Kept(), few(digits)
    with_them = train(runs, data, histories=tmp_path / "with", checkpoints=kept)
    assert len(kept.there) == 2
    assert results(with_them) == results(train(runs, data, histories=tmp_path / "without"))


@pytest.mark.parametrize("mode", list(MODES))
def test_every_mode_goes_on(make_cell, digits, tmp_path, mode):
    changes = ON_SPHERE if mode.startswith("sphere") else {}
    options = {"invariance": "full"}
    cell = make_cell(family="convnet", options=options, width=2, train_size=64, mode=mode, **changes)
    assert_resumes_after_every_epoch(runs_of(cell, 1, 2), digits, tmp_path)


@pytest.mark.parametrize(
    "stepping", [Stepping(pack=2, way="separate"), Stepping(pack=2, way="vmap")], ids=str
)
def test_every_way_to_step_goes_on(make_cell, digits, tmp_path, stepping):
    cell = make_cell(family="convnet", options={}, width=2, train_size=70)
    assert_resumes_after_every_epoch(runs_of(cell, 1, 2), digits, tmp_path, stepping=stepping)


def test_members_that_have_all_diverged_end_the_training_that_goes_on(make_cell, digits, tmp_path, plug_in):
    class Bursting(SGD):
        def step(self, closure=None):
            super().step(closure)
            for group in self.param_groups:
                if group["lr"] < 0.01:  # in the second stage
                    group["params"][0].data.fill_(float("nan"))

    def optimizer(network, recipe, invariant):
        return Bursting(network.parameters(), recipe.learning_rate)

    plug_in("modes", "bursting", mode=replace(MODES["bn_wd"], optimizer=optimizer))
    stages = {"schedule": "two_stage", "drop_epoch": 2, "drop_factor": 0.1, "learning_rate": 0.05}
    cell = make_cell(
        family="convnet", options={}, width=2, train_size=64, epochs=6, mode="bursting", **stages
    )
    there = assert_resumes_after_every_epoch(runs_of(cell, 0, 1), digits, tmp_path)
    assert [one.epoch for one in there] == [1, 2]
    assert [one.diverged_at for one in train(runs_of(cell, 0, 1), few(digits))] == [5, 5]


def test_a_collector_without_state_has_no_checkpoints(make_cell, digits, plug_in):
    class Plain:
        def keep(self, epoch, network):
            pass

        def predictors(self, finished):
            yield None

    plug_in("methods", "plain", method=Method(collect=lambda recipe, options: Plain()))
    kept = Kept()
    cell = make_cell(method="plain", method_options={})
    (plain,) = train(runs_of(cell, 0), few(digits), checkpoints=kept)
    assert kept.there == []
    (usual,) = train(runs_of(make_cell(), 0), few(digits))
    assert plain.test_logits.tobytes() == usual.test_logits.tobytes()


# What cannot be used.


def course_of(cell, digits, *seeds):
    stepping = Stepping(pack=len(seeds))
    pack = assemble(runs_of(cell, *seeds), parts_of(cell, digits.arrays), digits.task, "cpu", stepping)
    return Underway(pack, collector_of(cell), None, losses=[])


@pytest.fixture(scope="module")
def trained(make_cell, digits):
    """Of two widths: the run, what came of it, and its checkpoint after the first of two epochs."""

    def of(width):
        kept, runs = Kept(), runs_of(make_cell(family="convnet", options={}, width=width, train_size=64), 0)
        return runs, results(train(runs, few(digits), checkpoints=kept)), kept.there[0]

    return of(2), of(3)


def spread(checkpoint):
    """Layouts that would take a terabyte."""
    return [[name, [10**12] * len(strides)] for name, strides in checkpoint.facts["layouts"]]


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda one, other: other,
        lambda one, other: one._replace(tensors=one.tensors[:100]),
        lambda one, other: one._replace(tensors=b""),
        lambda one, other: one._replace(facts={}),
        lambda one, other: one._replace(epoch=2),
        lambda one, other: one._replace(facts={**one.facts, "layouts": one.facts["layouts"][:-1]}),
        lambda one, other: one._replace(facts={**one.facts, "optimizer": {"999/step": 1}}),
        lambda one, other: one._replace(facts={**one.facts, "layouts": spread(one)}),
    ],
    ids=["another network", "cut", "empty", "no facts", "epochs", "losses", "parameter", "layout"],
)
def test_a_checkpoint_that_does_not_fit_is_refused_and_training_starts_anew(trained, digits, spoilt):
    (runs, whole, right), (_, _, other) = trained
    kept, told = Kept(spoilt(right, other)), []
    assert results(train(runs, few(digits), checkpoints=kept, on_epoch=told.append)) == whole
    assert len(kept.refused) == 1
    assert told == [1, 2]


def test_an_earlier_checkpoint_serves_where_the_newest_does_not(trained, digits):
    runs, whole, first = trained[0]
    told, kept = [], Kept(first, first._replace(epoch=2))
    assert results(train(runs, few(digits), checkpoints=kept, on_epoch=told.append)) == whole
    assert (told, len(kept.refused)) == ([1, 2], 1)


def test_all_that_an_optimiser_keeps_comes_back_to_the_same_place_in_memory(make_cell, digits):
    cell = make_cell(train_size=64, epochs=1)
    course, new = course_of(cell, digits, 0, 1), course_of(cell, digits, 0, 1)
    for batch in course.pack.batches([torch.Generator().manual_seed(0)] * 2):
        course.losses.append(course.pack.step(*batch, None)[None])
    put_back(taken(course, 1.5), new)
    assert new.seconds == 1.5
    for one, other in zip(course.pack.network.parameters(), new.pack.network.parameters(), strict=True):
        assert torch.equal(one, other)
        before = course.pack.optimizer.state[one]["momentum_buffer"]
        after = new.pack.optimizer.state[other]["momentum_buffer"]
        assert before.any()
        assert torch.equal(before, after)
        assert before.stride() == after.stride()


# When one is due.


class Clock:
    """Seconds that pass when a test says so, and while a checkpoint is kept."""

    def __init__(self, cost: float) -> None:
        self.now, self.cost, self.epochs = 0.0, cost, []

    def __call__(self) -> float:
        return self.now

    def keep(self, checkpoint):
        self.now += self.cost
        self.epochs.append(checkpoint.epoch)


def epochs_kept(make_cell, digits, *, seconds, cost, each, epochs):
    course, clock = course_of(make_cell(width=1), digits, 0), Clock(cost)
    save = Saver(course, clock, seconds, clock)
    for _ in range(epochs):
        clock.now += each
        course.losses.append(torch.zeros(1, 1))
        save()
    return clock


def test_short_training_keeps_no_checkpoint(make_cell, digits):
    assert epochs_kept(make_cell, digits, seconds=60, cost=1, each=10, epochs=5).epochs == []


def test_a_checkpoint_is_due_when_the_last_is_long_ago(make_cell, digits):
    found = epochs_kept(make_cell, digits, seconds=60, cost=0.1, each=25, epochs=9).epochs
    assert found == [3, 6, 9]


def test_no_seconds_are_a_checkpoint_after_every_epoch_whatever_it_costs(make_cell, digits):
    assert epochs_kept(make_cell, digits, seconds=0, cost=50, each=1, epochs=4).epochs == [1, 2, 3, 4]


@pytest.mark.parametrize("cost", [0.01, 0.5, 3, 40])
def test_checkpoints_take_at_most_a_hundredth_of_training_after_the_first(make_cell, digits, cost):
    clock = epochs_kept(make_cell, digits, seconds=60, cost=cost, each=30, epochs=400)
    later = len(clock.epochs) - 1
    assert later >= 2
    assert later * cost <= 0.01 * (30 * 400)
    assert np.diff(clock.epochs).min() * 30 >= 60
