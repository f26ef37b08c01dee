"""Regimes and periods of studies with several arms and widths: nothing is pooled, nothing is left out."""

import math

import numpy as np
import pandas as pd
import pytest

from ensembudget import analyse
from ensembudget.catalog import TABLES
from ensembudget.planning.plan import plan
from ensembudget.records import Arm, Member, RecipeChoice, Recording, Study
from ensembudget.scoring.pools import Pool, Results
from ensembudget.store import Stored
from helpers import HERE

ROWS = 40
LABELS = np.arange(20) % 10
ARMS = ("practical", "full")
WIDTHS = [2, 3]


def study(mode: str, base: str, sweep: dict, arms=ARMS) -> Study:
    return Study(
        name="recorded",
        description="made-up histories",
        family="convnet",
        dataset="digits",
        train_size=100,
        mode=mode,
        widths=WIDTHS,
        pool=1,
        recipe=RecipeChoice(base=base, epochs=ROWS, batch_size=32, normalisation="dataset"),
        arms=[Arm(name=name, options={"invariance": name}) for name in arms],
        sweep=sweep,
        record=Recording(),
    )


def results(asked: Study, digits, history) -> Results:
    """One member a cell, with the history that `history(planned cell)` makes up."""
    planned = plan(asked, digits.task, digest=digits.digest, dataset="digits", train_samples=1000)
    return Results(planned, tuple(pool(cell, history(cell)) for cell in planned.cells))


def pool(cell, frame: pd.DataFrame) -> Pool:
    (run,) = cell.runs
    member = Member(run=run, status="done", parameters=100, seconds=1.0, environment=HERE)
    logits = np.random.default_rng(run.seed).normal(size=(len(LABELS), 10)).astype(np.float32)
    stored = Stored(
        member=member,
        validation_logits=logits[:0],
        validation_labels=LABELS[:0],
        test_logits=logits,
        test_labels=LABELS,
        train_loss=np.ones(ROWS, np.float32),
        digest="0" * 64,
    )
    return Pool(cell, (stored,), None, {run.seed: frame})


def frame(losses, norms=None) -> pd.DataFrame:
    count = len(losses)
    epochs = np.arange(1.0, count + 1)
    return pd.DataFrame(
        {
            "epoch": epochs, "step": 10 * epochs, "train_loss": np.asarray(losses, float),
            "norm": np.ones(count) if norms is None else norms, "test_error": np.full(count, 0.25),
            "relative_gradient_norm": np.full(count, 1e-9), "effective_gradient_norm": np.ones(count),
            "effective_learning_rate": np.full(count, 0.1), "cosine_to_last": np.full(count, 0.5),
            "cosine_to_start": np.full(count, 0.5),
        }
    )  # fmt: skip


def converging(cell) -> pd.DataFrame:
    return frame(1 / np.arange(1.0, ROWS + 1))


RATES = [1e-3, 1e-2]


@pytest.fixture(scope="module")
def sphere(digits):
    """Two arms, two widths, two rates."""
    asked = study("sphere", "kodryan2022", {"effective_learning_rate": RATES})
    return analyse(results(asked, digits, converging))


def test_a_sweep_is_of_one_arm_and_one_width(sphere):
    """Two arms x two widths x two rates used to become two runs of eight."""
    assert [(one.arm, one.cell.width) for one in sphere.sweeps] == [(a, k) for a in ARMS for k in WIDTHS]
    for one in sphere.sweeps:
        assert [at.rate for at in one.rates] == RATES
        assert one.cell.options["invariance"] == one.arm
        assert all(at.history.run.cell.width == one.cell.width for at in one.rates)


@pytest.mark.parametrize("name", ["regimes", "regime_boundaries", "history"])
def test_tables_of_dynamics_tell_arms_apart(name, sphere):
    rows = TABLES[name].rows(sphere)
    places = {(row["arm"], row["width"]) for row in rows}
    assert places == {(arm, width) for arm in ARMS for width in WIDTHS}


def test_a_study_without_arms_has_no_column_for_them(digits):
    asked = study("sphere", "kodryan2022", {"effective_learning_rate": RATES}, arms=())
    found = analyse(results(asked, digits, converging))
    for name in ("regimes", "regime_boundaries", "history"):
        assert all("arm" not in row for row in TABLES[name].rows(found))


def sawtooth(cell) -> pd.DataFrame:
    """Periods of 600 steps over the product of the rates, twice as long in the second arm."""
    recipe = cell.cell.recipe
    product = recipe.learning_rate * recipe.weight_decay
    longer = 2 if cell.cell.options["invariance"] == "full" else 1
    rows = round(longer * 60e-3 / product)
    lengths = [60, rows, rows, rows, rows // 2]
    losses = np.concatenate([np.geomspace(1, 1e-3, length) for length in lengths])
    norms = np.concatenate([np.exp(math.log1p(-product) * 10 * np.arange(length)) for length in lengths])
    return frame(losses, norms)


GRID = {"learning_rate": [0.1, 0.5, 1.0], "weight_decay": [1e-3, 2e-3]}


def test_a_period_law_is_of_one_arm_and_one_width(digits):
    """Pooled over arms whose periods differ by two, the slope would have an interval many times as wide."""
    found = analyse(results(study("bn_wd", "lobacheva2021", GRID), digits, sawtooth))
    assert [(one.arm, one.cell.width) for one in found.grids] == [(a, k) for a in ARMS for k in WIDTHS]
    for grid in found.grids:
        longer = 2 if grid.arm == "full" else 1
        for point in grid.points:
            assert point.period.value == pytest.approx(longer * 0.6 / point.product, rel=0.02)
        for slope in grid.slopes:
            assert slope.points == 6
            assert slope.slope.value == pytest.approx(-1, abs=0.02)
            assert slope.slope.high - slope.slope.low < 0.1
    for name, count in (("periods", 24), ("period_laws", 12)):
        rows = TABLES[name].rows(found)
        assert len(rows) == count
        assert {row["arm"] for row in rows} == set(ARMS)


def test_the_sphere_has_no_periods_and_conventional_training_no_regimes(digits, sphere):
    conventional = analyse(results(study("bn_wd", "lobacheva2021", GRID), digits, sawtooth))
    assert sphere.grids == ()
    assert conventional.sweeps == ()
