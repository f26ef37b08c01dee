"""Figures of studies with several sweeps show every run, in a panel of its own sweep."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from ensembudget import studies
from ensembudget.analysis import Analysis
from ensembudget.catalog import FIGURES
from ensembudget.rendering.write import write_figure
from ensembudget.store import Store
from ensembudget.verbs.analyse import analyse
from ensembudget.verbs.evaluate import evaluate
from ensembudget.verbs.plan import plan_study
from ensembudget.verbs.report import drawn
from helpers import publish, trained_as

STUDY = """
name = "several"
description = "two arms, two widths, and a sweep"
family = "convnet"
options = {{ invariance = "full" }}
dataset = "digits"
train_size = 100
mode = "{mode}"
widths = [2, 3]
pool = 1

[recipe]
base = "{base}"
epochs = 40
batch_size = 32
normalisation = "dataset"

[[arms]]
name = "small batches"

[[arms]]
name = "large batches"
recipe = {{ batch_size = 64 }}

[sweep]
{sweep}

[record]
test_size = 100
"""
RATES = [1e-3, 1e-1]
ON_SPHERE = {"mode": "sphere", "base": "kodryan2022", "sweep": f"effective_learning_rate = {RATES}"}
WITH_DECAY = {"mode": "bn_wd", "base": "lobacheva2021",
              "sweep": "learning_rate = [0.1, 1.0]\nweight_decay = [1e-3, 1e-2]"}  # fmt: skip
SWEEPS = [(arm, width) for arm in ("small batches", "large batches") for width in (2, 3)]
T = np.arange(1.0, 41.0)


def history(level: float, losses: np.ndarray) -> pd.DataFrame:
    """A record whose gradient norm is `level` throughout: what tells it from all others in a figure."""
    rows = len(losses)
    epochs = np.arange(1.0, rows + 1)
    return pd.DataFrame({
        "epoch": epochs, "step": 10 * epochs, "train_loss": losses, "norm": np.ones(rows),
        "relative_gradient_norm": np.full(rows, 1e-9), "effective_learning_rate": np.linspace(0.1, 0.2, rows),
        "effective_gradient_norm": np.full(rows, level), "cosine_to_last": np.full(rows, 0.5),
        "test_error": np.full(rows, 0.25),
    })  # fmt: skip


def study_of(tmp_path, fields, losses) -> tuple[Analysis, dict[tuple[str, int], list[float]]]:
    """A study whose every pool has a made-up history, and the levels of each sweep's runs by their order."""
    path = tmp_path / "several.toml"
    path.write_text(STUDY.format(**fields))
    planned, store = plan_study(studies.load_study(path)), Store(tmp_path / "store")
    labels = np.arange(60) % 10
    for seed, one in enumerate(planned.runs):
        logits = np.random.default_rng(seed).normal(size=(60, 10)).astype(np.float32)
        publish(store, trained_as(one, logits), labels)
    results = evaluate(planned, store)
    pools, levels = [], {}
    for number, pool in enumerate(results.pools):
        cell, level = pool.planned.cell, float(number + 1)
        arm = "large batches" if cell.recipe.batch_size == 64 else "small batches"
        levels.setdefault((arm, cell.width), []).append(level)
        pools.append(dataclasses.replace(pool, histories={0: history(level, losses(cell.recipe))}))
    return analyse(dataclasses.replace(results, pools=tuple(pools))), levels


def teeth(recipe) -> np.ndarray:
    """Losses with periods that go as 1 / (learning rate x weight decay)."""
    rows = [40, *[round(0.1 / math.sqrt(recipe.learning_rate * recipe.weight_decay) * 6)] * 3, 30]
    return np.concatenate([np.geomspace(1, 1e-3, length) for length in rows])


@pytest.fixture
def sweeps(tmp_path):
    """Two arms x two widths x two rates; the small rate converges and the large one does not."""
    return study_of(
        tmp_path, ON_SPHERE, lambda r: 1 / T**1.5 if r.effective_learning_rate == RATES[0] else 0.5 + 0 * T
    )


@pytest.fixture
def grids(tmp_path):
    """Two arms x two widths x two learning rates x two weight decays."""
    return study_of(tmp_path, WITH_DECAY, teeth)


def levels_of(axes) -> list[float]:
    """Of the lines in a panel, by their gradient norm."""
    return [float(line.get_ydata()[0]) for line in axes.lines]


def test_all_runs_of_two_arms_two_widths_and_two_rates_are_drawn_each_in_its_sweeps_panel(sweeps):
    analysis, levels = sweeps
    axes = dict(drawn(analysis))["regimes"].axes
    assert len(axes) == 2 * len(SWEEPS)
    for (arm, width), losses, gradients in zip(SWEEPS, axes[::2], axes[1::2], strict=True):
        assert losses.get_title("left") == f"{arm}, width {width}"
        assert levels_of(gradients) == levels[arm, width]
        # Each line has the style of its own regime: convergence is solid, an equilibrium dashed.
        assert [line.get_linestyle() for line in losses.lines] == ["-", "--"]
        assert [line.get_label() for line in losses.lines] == [f"{rate:g}" for rate in RATES]


def test_a_phase_diagram_has_all_runs_too(sweeps):
    analysis, levels = sweeps
    axes = dict(drawn(analysis))["regimes_phase"].axes
    assert [one.get_title("left").partition(".")[0] for one in axes] == [f"{a}, width {w}" for a, w in SWEEPS]
    for sweep, one in zip(SWEEPS, axes, strict=True):
        assert sorted(set(levels_of(one))) == levels[sweep]


def test_every_run_of_several_grids_has_its_panel(grids):
    analysis, _ = grids
    axes = dict(drawn(analysis))["periods"].axes
    assert len(axes) == 4 * len(SWEEPS)
    found = [one.get_title("left") for one in axes]
    assert len(set(found)) == len(found)
    for arm, width in SWEEPS:
        assert sum(title.startswith(f"{arm}, width {width}\nlearning rate") for title in found) == 4


def test_cycles_and_laws_are_drawn_for_every_grid(grids):
    analysis, _ = grids
    figures = dict(drawn(analysis))
    assert [one.get_title("left") for one in figures["period_laws"].axes] == [
        f"{arm}, width {width}" for arm, width in SWEEPS
    ]
    titles = [one.get_title("left") for one in figures["periods_phase"].axes]
    for arm, width in SWEEPS:
        assert sum(title.startswith(f"{arm}, width {width}") for title in titles) == 3


def test_equal_analyses_give_equal_bytes(sweeps, tmp_path):
    analysis, _ = sweeps
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for name, figure in drawn(analysis):
            write_figure(tmp_path / folder, name, figure)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_nothing_is_drawn_of_an_empty_analysis(sweeps):
    analysis, _ = sweeps
    assert list(drawn(Analysis(analysis.results))) == []
    assert all(one.about in ("analysis", "predictions") for one in FIGURES.usable().values())
