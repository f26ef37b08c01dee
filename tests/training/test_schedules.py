"""Schedules and warm-up: every step's rate, by formulas of their own."""

import dataclasses
import math

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ensembudget.catalog import METHODS, MODES
from ensembudget.records import Recipe, Recording, Run
from ensembudget.training.loop import train
from ensembudget.training.schedules import factor, warmup
from ensembudget.training.units import rate_factor

BY_STEP = {"schedule_by": "step"}
EPOCHS, STEPS = 6, 7


def recipe_of(**changes):
    return Recipe(**{"epochs": EPOCHS, "learning_rate": 1.0, "weight_decay": 0.0, **changes})


def every(recipe, steps=STEPS):
    """The factor of every step of a run, of schedule and warm-up together."""
    return [
        factor(recipe, epoch, step, steps) * warmup(recipe, epoch * steps + step)
        for epoch in range(recipe.epochs)
        for step in range(steps)
    ]


@pytest.mark.parametrize("schedule", ["plateau_linear", "cosine", "constant", "linear"])
@given(epochs=st.integers(1, 50), steps=st.integers(1, 40))
def test_without_new_fields_a_rate_is_that_of_its_epoch(schedule, epochs, steps):
    """As before there were steps: the numbers are equal to the bit."""
    progress = [epoch / epochs for epoch in range(epochs)]
    later = [(epoch + 1) / epochs for epoch in range(epochs)]
    wanted = {
        "plateau_linear": [
            1.0 if p <= 0.5 else 1 - 0.99 * (p - 0.5) / 0.4 if p <= 0.9 else 0.01 for p in later
        ],
        "cosine": [(1 + math.cos(math.pi * p)) / 2 for p in progress],
        "constant": [1.0] * epochs,
        "linear": [1 - p for p in progress],
    }[schedule]
    found = every(recipe_of(epochs=epochs, schedule=schedule), steps)
    assert found == [one for one in wanted for _ in range(steps)]


@given(epochs=st.integers(1, 12), steps=st.integers(1, 30), peak=st.integers(1, 100))
def test_inverse_sqrt_is_the_papers_formula(epochs, steps, peak):
    """Vaswani et al. 2017, equation 3: min(step^-1/2, step warmup^-3/2), here divided by its peak."""
    recipe = recipe_of(epochs=epochs, schedule="inverse_sqrt", warmup_steps=peak, **BY_STEP)
    papers = [min(step**-0.5, step * peak**-1.5) / peak**-0.5 for step in range(1, epochs * steps + 1)]
    assert every(recipe, steps) == pytest.approx(papers, rel=1e-12)


@settings(deadline=None)  # torch is imported piece by piece at the first call
@given(epochs=st.integers(1, 12), steps=st.integers(1, 30), warm=st.integers(0, 40))
def test_by_step_the_line_and_the_cosine_begin_where_the_warm_up_ends(epochs, steps, warm):
    """As torch's own schedulers have them, one after the other."""
    total = epochs * steps
    if warm >= total:
        return
    # torch's LinearLR begins at a factor above 0: that of the first step here.
    for schedule, after in {
        "linear": lambda o: torch.optim.lr_scheduler.LinearLR(o, 1.0, 0.0, total - warm),
        "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, total - warm),
    }.items():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        falling = after(optimizer)
        rates = [(step + 1) / warm for step in range(warm)]
        for _ in range(total - warm):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            falling.step()
        found = every(recipe_of(epochs=epochs, schedule=schedule, warmup_steps=warm, **BY_STEP), steps)
        assert found == pytest.approx(rates, rel=1e-9, abs=1e-12)


def test_warm_up_multiplies_what_a_schedule_by_epoch_says():
    plain, warm = recipe_of(schedule="cosine"), recipe_of(schedule="cosine", warmup_steps=10)
    ramp = [min(1.0, (step + 1) / 10) for step in range(EPOCHS * STEPS)]
    assert every(warm) == pytest.approx(np.multiply(every(plain), ramp))


def test_two_stages_drop_at_an_epoch_also_by_step():
    stages = {"schedule": "two_stage", "drop_epoch": 4, "drop_factor": 0.1}
    assert every(recipe_of(**stages, **BY_STEP)) == every(recipe_of(**stages)) == [1.0] * 28 + [0.1] * 14


def test_the_last_hundredth_of_the_plateau_is_the_same_by_step():
    found = every(recipe_of(epochs=10, **BY_STEP), steps=10)
    assert found[:50] == [1.0] * 50
    assert found[69] == pytest.approx(1 - 0.99 * 0.5)
    assert found[90:] == [0.01] * 10


def test_a_run_that_ends_in_its_warm_up_rises_to_its_last_step():
    found = every(recipe_of(epochs=1, schedule="cosine", warmup_steps=100, **BY_STEP))
    assert found == pytest.approx([step / 100 for step in range(1, STEPS + 1)])


def test_warm_up_is_in_the_first_cycle_of_snapshots_alone(make_cell):
    cell = make_cell(epochs=4, warmup_steps=3, method="snapshots", method_options={"predictors": 2})
    assert cell.steps == 16
    found = [rate_factor(cell, epoch, step) for epoch in range(4) for step in range(4)]
    cycles = [METHODS["snapshots"].rate(cell.recipe, cell.method_options, epoch, 1.0) for epoch in range(4)]
    assert found == pytest.approx([1 / 3, 2 / 3, 1, 1] + [one for one in cycles[1:] for _ in range(4)])
    assert cycles[2] == 1.0


@pytest.mark.parametrize("mode", ["bn_wd", "adamw", "sphere"])
def test_every_step_is_taken_and_recorded_at_its_own_rate(make_cell, digits, tmp_path, plug_in, mode):
    """The 100 images in batches of 32 are 4 steps an epoch, the last of 4 images."""
    sphere = {"effective_learning_rate": 0.02, "weight_decay": 0.0, "momentum": 0.0}
    cell = make_cell(
        family="convnet", options={}, mode="noted", epochs=3, learning_rate=0.05, schedule="linear",
        schedule_by="step", warmup_steps=5, record=Recording(steps=1), **(sphere if mode == "sphere" else {}),
    )  # fmt: skip
    taken = []

    def noted(*args):
        made = MODES[mode].optimizer(*args)
        made.register_step_pre_hook(lambda one, *_: taken.append([g["lr"] for g in one.param_groups]))
        return made

    plug_in("modes", "noted", mode=dataclasses.replace(MODES[mode], optimizer=noted))
    (result,) = train([Run(cell=cell, seed=0)], digits, histories=tmp_path)
    factors = [0.2, 0.4, 0.6, 0.8, 1.0] + [1 - done / 7 for done in range(7)]
    own = 0.02 if mode == "sphere" else 0.05
    assert [rates[0] for rates in taken] == pytest.approx(np.multiply(own, factors))
    if mode == "sphere":
        assert [rates[1] for rates in taken] == pytest.approx(np.multiply(0.05, factors))
    columns = {
        n: pq.read_table(result.history / f"{n}.parquet")["rate"].to_pylist() for n in ("steps", "epochs")
    }
    assert columns["steps"] == pytest.approx(np.multiply(own, factors), rel=1e-6)
    assert columns["epochs"] == pytest.approx(np.multiply(own, factors)[3::4], rel=1e-6)


def test_inverse_sqrt_needs_a_warm_up():
    with pytest.raises(ValidationError, match=r"falls from the end of a warm-up\. Set warmup_steps"):
        recipe_of(schedule="inverse_sqrt")
