"""Tables of recorded studies against histories that the test reads itself, trained and made up."""

import csv
import dataclasses
import hashlib
import json
import math
import pickle
import shutil
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats

from ensembudget import studies
from ensembudget.analysis.histories import COLUMNS
from ensembudget.cli import main
from ensembudget.cli.show import print_rows
from ensembudget.dynamics.durations import geometric_mean
from ensembudget.dynamics.periods import course, log_slopes
from ensembudget.dynamics.regimes import REGIMES, VERDICTS, boundaries, classify
from ensembudget.errors import IncompleteError
from ensembudget.records import Plan
from ensembudget.rendering.manifest import manifest
from ensembudget.rendering.render import from_csv, render
from ensembudget.rendering.write import write_rows
from ensembudget.scoring.pools import Results
from ensembudget.store import Store
from ensembudget.tables import history, period_laws, periods, regime_boundaries, regimes
from ensembudget.verbs.analyse import analyse
from ensembudget.verbs.evaluate import evaluate
from ensembudget.verbs.plan import plan_study, stored_plan
from ensembudget.verbs.report import drawn, report
from ensembudget.verbs.run import run

STUDY = """
name = "{name}"
description = "a recorded study that a test can afford"
family = "convnet"
options = {{ invariance = "full" }}
dataset = "digits"
train_size = 100
mode = "{mode}"
widths = [2]
pool = {pool}
stepping = {{ pack = 2 }}

[recipe]
base = "{base}"
epochs = 24
batch_size = 32
normalisation = "dataset"

[sweep]
{sweep}

[record]
test_size = 100
"""
ON_SPHERE = {
    "name": "on_sphere", "mode": "sphere", "base": "kodryan2022", "pool": 2,
    "sweep": "effective_learning_rate = [1e-3, 3e-2, 1.0]",
}  # fmt: skip
WITH_DECAY = {
    "name": "with_decay", "mode": "bn_wd", "base": "lobacheva2021", "pool": 2,
    "sweep": "learning_rate = [0.1, 1.0]\nweight_decay = [1e-3, 1e-2]",
}  # fmt: skip
RATES = [1e-3, 3e-2, 1.0]
GRID = [(0.1, 1e-3), (0.1, 1e-2), (1.0, 1e-3), (1.0, 1e-2)]
LAYOUTS = {
    one.name: one
    for one in (regimes.table, regime_boundaries.table, periods.table, period_laws.table)
}  # fmt: skip
CLASSES = 10


class Place(NamedTuple):
    """A trained study: its file, its plan, its store, a report of it."""

    study: Path
    plan: Plan
    store: Store
    out: Path

    @property
    def results(self) -> Results:
        return evaluate(self.plan, self.store)

    def histories(self) -> dict[tuple[float, ...], list[pd.DataFrame]]:
        """The runs' by what was swept, out of the store."""
        return {
            swept(cell.cell.recipe): [self.store.history(run.key, "epochs") for run in cell.runs]
            for cell in self.plan.cells
        }


def swept(recipe) -> tuple[float, ...]:
    if recipe.effective_learning_rate is not None:
        return (recipe.effective_learning_rate,)
    return recipe.learning_rate, recipe.weight_decay


def trained(folder: Path, fields: dict) -> Place:
    path = folder / f"{fields['name']}.toml"
    path.write_text(STUDY.format(**fields))
    study, store = studies.load_study(path), Store(folder / "store")
    assert all(one.status == "done" for one in run(plan_study(study), store, executor="serial"))
    return Place(path, stored_plan(study, store), store, folder / fields["name"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, cache) -> Path:
    return tmp_path_factory.mktemp("dynamics")


@pytest.fixture(scope="module")
def on_sphere(folder) -> Place:
    place = trained(folder, ON_SPHERE)
    report(analyse(place.results), place.out)
    return place


@pytest.fixture(scope="module")
def with_decay(folder) -> Place:
    place = trained(folder, WITH_DECAY)
    report(analyse(place.results), place.out)
    return place


@pytest.fixture(params=["on_sphere", "with_decay"])
def place(request) -> Place:
    return request.getfixturevalue(request.param)


def table(path: Path) -> list[dict]:
    return from_csv(path.read_text())


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def late(frames: list[pd.DataFrame], name: str) -> list[float]:
    """Means over the second half of each run."""
    return [float(np.mean(frame[name].to_numpy()[len(frame) // 2 :])) for frame in frames]


# What is written.

ALWAYS = {"members.csv", "scores.csv", "history.csv", "manifest.json", "index.html"}
FORMATS = ("csv", "md", "tex", "html")
FILES = {
    "on_sphere": ALWAYS
    | {f"{name}.{kind}" for name in ("regimes", "regime_boundaries") for kind in FORMATS}
    | {f"{name}.{kind}" for name in ("regimes", "regimes_phase") for kind in ("svg", "png")},
    "with_decay": ALWAYS
    | {f"periods.{kind}" for kind in FORMATS}
    | {f"{name}.{kind}" for name in ("periods", "periods_phase") for kind in ("svg", "png")},
}


def test_a_report_of_a_recorded_study_has_its_tables_and_figures_and_no_splits(place):
    assert {path.name for path in place.out.iterdir()} == FILES[place.plan.study.name]
    for path in place.out.glob("*.svg"):
        assert path.read_text().startswith("<?xml")
    for path in place.out.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


def test_every_rendering_follows_from_its_csv_and_the_manifest(place):
    notes = json.loads((place.out / "manifest.json").read_text())["notes"]
    names = {path.stem for path in place.out.glob("*.md")}
    assert names == set(notes)
    for name in names:
        rows = table(place.out / f"{name}.csv")
        assert rows
        for kind in ("md", "tex", "html"):
            again = render(LAYOUTS[name], rows, kind, notes[name], place.plan.study.name)
            assert again == (place.out / f"{name}.{kind}").read_text()


def test_the_command_writes_the_same_report_and_prints_its_tables(place, tmp_path, capsys):
    out = tmp_path / "again"
    arguments = ["report", str(place.study), "--store", str(place.store.root), "--out", str(out)]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert digests(out) == digests(place.out)
    for path in out.glob("*.md"):
        name = path.stem
        print_rows(LAYOUTS[name], table(out / f"{name}.csv"))
        assert capsys.readouterr().out in said.out
    assert str(out) in said.out


def test_a_manifest_does_not_depend_on_whether_the_plan_was_made_now_or_kept_in_the_store(place):
    """A swept 1.0 is 1 in the store's canonical JSON, and one number."""
    made = plan_study(studies.load_study(place.study))
    assert made == place.plan
    one, other = (manifest(dataclasses.replace(place.results, plan=p), {}) for p in (made, place.plan))
    assert json.dumps(one) == json.dumps(other)


# Regimes.


def test_regimes_are_those_of_the_histories_in_the_store(on_sphere):
    rows, histories = table(on_sphere.out / "regimes.csv"), on_sphere.histories()
    assert [row["effective_learning_rate"] for row in rows] == RATES
    for row in rows:
        frames = histories[row["effective_learning_rate"],]
        found = [classify(f["epoch"].to_numpy(), f["train_loss"].to_numpy(), CLASSES) for f in frames]
        assert row["members"] == len(found) == 2
        counts = Counter(one.regime for one in found)
        assert {name: row[name.replace(" ", "_")] for name in VERDICTS} == {n: counts[n] for n in VERDICTS}
        (most, count), *_ = sorted(counts.items(), key=lambda item: (-item[1], VERDICTS.index(item[0])))
        assert row["regime"] == (most if count == 2 else f"{most} (1 of 2)")
        expected = {
            "train_loss": late(frames, "train_loss"),
            **{n: late(frames, n) for n in ("effective_gradient_norm", "test_error", "cosine_to_last")},
        }
        for name, values in expected.items():
            ends = [row[name], row[f"{name}_low"], row[f"{name}_high"]]
            assert ends == pytest.approx([np.mean(values), min(values), max(values)], rel=1e-9)
        slopes = [one.slope for one in found]
        ends = [np.mean([s.value for s in slopes]), min(s.low for s in slopes), max(s.high for s in slopes)]
        assert [row[name] for name in ("slope", "slope_low", "slope_high")] == pytest.approx(ends, rel=1e-9)


def test_boundaries_are_those_of_the_regimes_in_the_store(on_sphere):
    by_rate = {
        rate: [classify(f["epoch"].to_numpy(), f["train_loss"].to_numpy(), CLASSES).regime for f in frames]
        for (rate,), frames in on_sphere.histories().items()
    }
    rows = table(on_sphere.out / "regime_boundaries.csv")
    for row, one in zip(rows, boundaries(by_rate), strict=True):
        assert (row["between"], row["status"]) == (one.between, one.status)
        ends = [row[f"effective_learning_rate{end}"] for end in ("", "_low", "_high")]
        expected = [one.rate.value, one.rate.low, one.rate.high] if one.rate else [None] * 3
        assert ends == (pytest.approx(expected) if one.rate else expected)
    # At rate 1 nobody learns anything, and at 1e-3 everybody does a little.
    assert by_rate[1.0] == ["divergence"] * 2
    assert "divergence" not in by_rate[1e-3]


def test_history_has_the_first_run_of_every_rate(place):
    rows = table(place.out / "history.csv")
    cells, histories = place.plan.cells, place.histories()
    assert len(rows) == 24 * len(cells)
    assert [row["epoch"] for row in rows] == [*range(1, 25)] * len(cells)
    assert {row["mode"] for row in rows} == {place.plan.study.mode}
    firsts = [histories[swept(cell.cell.recipe)][0] for cell in cells]
    for name in COLUMNS:
        stored = np.concatenate([frame[name].to_numpy() for frame in firsts])
        assert [row[name] for row in rows] == pytest.approx(stored.tolist(), rel=1e-3)
    for name in ("learning_rate", "weight_decay"):
        recipes = [getattr(cell.cell.recipe, name) for cell in cells]
        assert [row[name] for row in rows[::24]] == recipes
    with (place.out / "history.csv").open(newline="") as file:
        keys = list(dict.fromkeys(row["key"] for row in csv.DictReader(file)))
    assert all(
        cell.runs[0].key.startswith(key.removesuffix("..")) for cell, key in zip(cells, keys, strict=True)
    )


# Periods.


def courses_of(frames: list[pd.DataFrame], rate: float, decay: float) -> list:
    names = ("step", "train_loss", "norm", "relative_gradient_norm")
    return [
        course(*(f[name].to_numpy() for name in names), learning_rate=rate, weight_decay=decay)
        for f in frames
    ]


def test_periods_are_those_of_the_histories_in_the_store(with_decay):
    rows, histories = table(with_decay.out / "periods.csv"), with_decay.histories()
    assert [row["product"] for row in rows] == sorted(row["product"] for row in rows)
    assert {(row["learning_rate"], row["weight_decay"]) for row in rows} == set(GRID)
    for row in rows:
        point = row["learning_rate"], row["weight_decay"]
        found = courses_of(histories[point], *point)
        assert row["product"] == pytest.approx(math.prod(point), rel=1e-12)
        assert row["members"] == len(found) == 2
        kinds = Counter(one.kind for one in found)
        assert kinds[row["kind"]] == max(kinds.values())
        assert row["destabilisations"] == np.mean([len(one.destabilisations) for one in found])
        assert row["balance"] == pytest.approx(np.mean([one.balance for one in found]), rel=1e-9)
        assert row["balance_mean"] == pytest.approx(np.mean([one.balance_mean for one in found]), rel=1e-9)
        assert row["test_error"] == pytest.approx(np.mean(late(histories[point], "test_error")), rel=1e-9)


def test_runs_too_short_for_periods_leave_nothing_where_one_would_be_and_no_law(with_decay):
    """24 epochs hold no destabilisation: their number is zero, and a mean period is nothing at all."""
    rows = table(with_decay.out / "periods.csv")
    for row in rows:
        assert (row["destabilisations"], row["periods"]) == (0, 0)
        for name in ("period", "period_low", "period_high", "period_of_product", "decay", "norm_before",
                     "norm_after", "loss_before", "loss_peak"):  # fmt: skip
            assert row[name] is None
    assert not list(with_decay.out.glob("period_laws.*"))
    assert period_laws.table.rows(analyse(with_decay.results)) == []


# Members that are missing.


def test_a_partial_report_has_the_runs_there_are(on_sphere, tmp_path):
    """Of a study that asks for a third run of every rate, and for a rate that nobody trained."""
    fields = ON_SPHERE | {"pool": 3, "sweep": "effective_learning_rate = [1e-4, 1e-3, 3e-2, 1.0]"}
    (tmp_path / "more.toml").write_text(STUDY.format(**fields))
    asked = ["report", str(tmp_path / "more.toml"), "--store", str(on_sphere.store.root)]
    assert main([*asked, "--out", str(tmp_path / "none")]) == IncompleteError.exit_code
    assert not (tmp_path / "none").exists()
    assert main([*asked, "--out", str(tmp_path / "out"), "--allow-partial"]) == 0
    for name in ("regimes.csv", "history.csv"):
        marked = [{**row, "partial": "PARTIAL"} for row in table(on_sphere.out / name)]
        assert table(tmp_path / "out" / name) == marked
    notes = json.loads((tmp_path / "out" / "manifest.json").read_text())["notes"]
    assert set(notes) == {"regimes", "regime_boundaries"}
    for said in notes.values():
        assert any("PARTIAL: 6 of 12 members are missing" in note for note in said)
    assert "PARTIAL" in (tmp_path / "out" / "regimes.md").read_text()


def test_a_partial_grid_has_the_points_there_are(with_decay, tmp_path):
    fields = WITH_DECAY | {"sweep": "learning_rate = [0.1, 1.0, 3.0]\nweight_decay = [1e-3, 1e-2]"}
    (tmp_path / "more.toml").write_text(STUDY.format(**fields))
    results = evaluate(
        plan_study(studies.load_study(tmp_path / "more.toml")), with_decay.store, allow_partial=True
    )  # fmt: skip
    assert results.partial
    assert [row["learning_rate"] for row in periods.table.rows(analyse(results))] == [
        row["learning_rate"] for row in table(with_decay.out / "periods.csv")
    ]
    assert period_laws.table.rows(analyse(results)) == []


def test_results_outlive_the_store_they_came_from(on_sphere, tmp_path):
    """They are plain data: histories are read when results are, and can be sent to another process."""
    shutil.copytree(on_sphere.store.root, tmp_path / "store")
    results = evaluate(on_sphere.plan, Store(tmp_path / "store"))
    shutil.rmtree(tmp_path / "store")
    found = regimes.table.rows(analyse(pickle.loads(pickle.dumps(results))))
    assert found == regimes.table.rows(analyse(on_sphere.results)) != []


# Histories that are made up: what a trained member did is replaced by what is asked for.


def made_up(place: Place, frames: dict[tuple[float, ...], list[pd.DataFrame | None]]) -> Results:
    """The results of a study with other histories, by what was swept and seed."""
    results = place.results
    pools = [
        dataclasses.replace(
            pool,
            histories={
                seed: history
                for seed, history in enumerate(frames[swept(pool.planned.cell.recipe)])
                if history is not None
            },
        )
        for pool in results.pools
    ]
    return dataclasses.replace(results, pools=tuple(pools))


def frame(losses, **columns) -> pd.DataFrame:
    rows = len(losses)
    epochs = np.arange(1.0, rows + 1)
    known = {
        "epoch": epochs, "step": 10 * epochs, "train_loss": np.asarray(losses, float),
        "norm": np.ones(rows), "relative_gradient_norm": np.full(rows, 1e-9),
        "effective_learning_rate": np.full(rows, 0.1), "effective_gradient_norm": np.ones(rows),
        "cosine_to_last": np.full(rows, 0.5), "test_error": np.full(rows, 0.25),
    }  # fmt: skip
    return pd.DataFrame(known | columns)


def teeth(lengths, product) -> pd.DataFrame:
    """Losses that jump after so many rows each time, and a norm that falls between as without gradients."""
    losses = np.concatenate([np.geomspace(1, 1e-3, length) for length in lengths])
    norms = np.concatenate([np.exp(math.log1p(-product) * 10 * np.arange(length)) for length in lengths])
    return frame(losses, norm=norms)


def with_recipe(results: Results, **changes) -> Results:
    """The results as if every pool had been trained by another recipe."""
    pools = []
    for pool in results.pools:
        cell = pool.planned.cell
        cell = cell.model_copy(update={"recipe": cell.recipe.model_copy(update=changes)})
        planned = pool.planned.model_copy(update={"cell": cell})
        pools.append(dataclasses.replace(pool, planned=planned))
    return dataclasses.replace(results, pools=tuple(pools))


T = np.arange(1.0, 41.0)


def test_runs_of_a_rate_that_disagree_show_the_most_frequent_with_its_share(on_sphere):
    chaos = 0.5 + 0.01 * np.cos(7 * T)
    results = made_up(
        on_sphere,
        {
            (1e-3,): [frame(1 / T), frame(2 / T)],
            (3e-2,): [frame(1 / T), frame(chaos)],
            (1.0,): [frame(chaos), frame(np.where(T > 30, np.nan, chaos))],
        },
    )
    calm, mixed, wild = regimes.table.rows(analyse(results))
    assert calm["regime"] == "convergence"
    assert mixed["regime"] == "convergence (1 of 2)"
    assert wild["regime"] == "chaotic equilibrium (1 of 2)"
    assert (mixed["convergence"], mixed["chaotic_equilibrium"], mixed["divergence"]) == (1, 1, 0)
    assert (wild["convergence"], wild["chaotic_equilibrium"], wild["divergence"]) == (0, 1, 1)
    # What the lost run was worth is nothing; the other's stands alone, without ends.
    assert wild["train_loss"] == pytest.approx(chaos[20:].mean())
    assert (wild["train_loss_low"], wild["train_loss_high"]) == (None, None)
    first, second = regime_boundaries.table.rows(analyse(results))
    assert (first["effective_learning_rate_low"], first["effective_learning_rate_high"]) == (1e-3, 1.0)
    assert first["effective_learning_rate"] == pytest.approx(math.sqrt(1e-3 * 3e-2))
    assert second["status"] == "runs on both sides at an end of the sweep: sweep further"


def test_runs_that_still_fall_are_told_and_drawn_as_such_and_widen_the_boundary(on_sphere, tmp_path):
    falling = [frame(T**-0.25), frame(1 / T)]
    results = made_up(
        on_sphere, {(1e-3,): [frame(1 / T)] * 2, (3e-2,): falling, (1.0,): [frame(0.5 + 0 * T)] * 2}
    )
    rows = regimes.table.rows(analyse(results))
    assert rows[1]["regime"] == "convergence (1 of 2)"
    assert (rows[1]["convergence"], rows[1]["still_falling"], rows[1]["undecided"]) == (1, 1, 0)
    one, two = regime_boundaries.table.rows(analyse(results))
    assert (one["effective_learning_rate_low"], one["effective_learning_rate_high"]) == (1e-3, 1.0)
    assert (two["effective_learning_rate"], two["status"]) == (None, "above 1, the largest rate tried")

    results = made_up(on_sphere, {(rate,): [frame(T**-0.25)] * 2 for rate in RATES})
    analysis = analyse(results)
    write_rows(tmp_path, regimes.table, regimes.table.rows(analysis), [])
    assert (tmp_path / "regimes.md").read_text().count("| still falling |") == 3
    (one, _) = regime_boundaries.table.rows(analysis)
    assert one["status"] == "runs are still falling or undecided: train longer"
    for axes in figures_of(results)["regimes"].axes:
        assert {line.get_linestyle() for line in axes.lines} == {"-."}


def test_a_rate_at_which_every_run_was_lost_has_dashes(on_sphere, tmp_path):
    lost = frame([2.3, np.nan], effective_gradient_norm=np.full(2, np.nan), test_error=np.full(2, np.nan))
    results = made_up(
        on_sphere, {(1e-3,): [frame(1 / T)] * 2, (3e-2,): [frame(0.5 + 0 * T)] * 2, (1.0,): [lost] * 2}
    )
    rows = regimes.table.rows(analyse(results))
    assert [row["regime"] for row in rows] == list(REGIMES)
    assert (rows[2]["divergence"], rows[2]["train_loss"], rows[2]["slope"]) == (2, None, None)
    write_rows(tmp_path, regimes.table, rows, [])
    line = next(line for line in (tmp_path / "regimes.md").read_text().splitlines() if "divergence " in line)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:7] == ["2", "1", "2", "divergence", "\N{EN DASH}", "\N{EN DASH}", "\N{EN DASH}"]
    assert "nan" not in (tmp_path / "regimes.csv").read_text()
    for one, low, high in zip(regime_boundaries.table.rows(analyse(results)), RATES, RATES[1:], strict=False):
        ends = one["effective_learning_rate_low"], one["effective_learning_rate_high"]
        assert (one["status"], ends) == ("ok", (low, high))


def test_runs_of_fewer_than_20_rows_or_without_a_history_are_in_no_table(on_sphere):
    short = {(rate,): [frame(1 / T[:19]), None] for rate in RATES}
    results = made_up(on_sphere, short)
    assert regimes.table.rows(analyse(results)) == []
    assert regime_boundaries.table.rows(analyse(results)) == []
    assert len(history.table.rows(analyse(results))) == 19 * 3


def test_runs_of_another_schedule_are_in_no_sweep(on_sphere, with_decay):
    for place, one in ((on_sphere, regimes.table), (with_decay, periods.table)):
        assert one.rows(analyse(place.results))
        assert one.rows(analyse(with_recipe(place.results, schedule="cosine"))) == []


def test_runs_on_the_sphere_have_no_periods_and_conventional_ones_no_regimes(on_sphere, with_decay):
    assert periods.table.rows(analyse(on_sphere.results)) == []
    assert regimes.table.rows(analyse(with_decay.results)) == []


def periodic(point) -> list[pd.DataFrame]:
    """Two runs with periods of 600, 800 or 600, 600 steps times 1e-3 over the product, then half of one."""
    rows = [round(n * 1e-3 / math.prod(point)) for n in (60, 80)]
    lengths = [60, rows[0], rows[1], rows[0] // 2], [60, rows[0], rows[0], rows[0] // 2]
    return [teeth(some, math.prod(point)) for some in lengths]


def test_periods_of_sawteeth_are_their_lengths_and_go_as_the_inverse_product(with_decay, tmp_path):
    results = made_up(with_decay, {point: periodic(point) for point in GRID})
    for row in periods.table.rows(analyse(results)):
        product = row["learning_rate"] * row["weight_decay"]
        steps = np.array([600, 800, 600, 600]) * 1e-3 / product
        ends = np.full(2, 10.0 * (round(60e-3 / product) // 2 - 1))  # from the rise to the last row
        found = geometric_mean(steps, ends)
        assert row["kind"] == "periodic"
        assert (row["destabilisations"], row["periods"], row["cut_off"]) == (3.0, 4, 2)
        mean, _ = stats.norm.fit(stats.CensoredData(uncensored=np.log(steps), right=np.log(ends)))
        assert row["period"] == pytest.approx(math.exp(mean), rel=1e-3)
        assert [row["period_low"], row["period_high"]] == pytest.approx([found.low, found.high], rel=1e-9)
        assert row["period_of_product"] == pytest.approx(row["period"] * product)
        assert row["decay"] == pytest.approx(1, rel=1e-6)
        assert row["loss_peak"] == pytest.approx(1)
        assert row["loss_before"] == pytest.approx(1e-3)
    found = period_laws.table.rows(analyse(results))
    assert [row["points"] for row in found] == [4, 4, 4]
    for row in found:
        assert [row["slope"], row["slope_low"], row["slope_high"]] == pytest.approx([-1, -1, -1], abs=1e-2)
        assert row["predicted"] == -1
    write_rows(tmp_path, period_laws.table, found, [])
    assert table(tmp_path / "period_laws.csv")[0]["along"] == "learning rate x weight decay"


def test_laws_are_over_the_periodic_points_alone_and_others_show_dashes(with_decay, tmp_path):
    """One point settles without any period: three are left, enough for the product alone."""
    settled = (0.1, 1e-2)
    frames = {point: periodic(point) for point in GRID}
    frames[settled] = [frame(1 / T)] * 2
    results = made_up(with_decay, frames)
    rows = {(row["learning_rate"], row["weight_decay"]): row for row in periods.table.rows(analyse(results))}
    row = rows[settled]
    assert (row["kind"], row["destabilisations"], row["periods"]) == ("settling", 0, 0)
    assert all(row[name] is None for name in ("period", "period_of_product", "decay", "loss_peak"))
    (law,) = period_laws.table.rows(analyse(results))
    points = [rows[point] for point in GRID if point != settled]
    (expected,) = log_slopes(
        *(np.array([r[n] for r in points]) for n in ("learning_rate", "weight_decay", "period"))
    )
    assert law["along"] == expected.along == "learning rate x weight decay"
    assert law["points"] == 3
    assert law["slope"] == pytest.approx(expected.slope.value)
    inside = law["slope_low"] <= -1 <= law["slope_high"]
    assert law["verdict"] == ("inside the interval" if inside else "outside it")

    write_rows(tmp_path, periods.table, list(rows.values()), [])
    lines = (tmp_path / "periods.md").read_text().splitlines()
    heads = [
        cell.strip() for cell in next(line for line in lines if line.startswith("|")).strip("|").split("|")
    ]
    cells = next(line for line in lines if "settling " in line and line.startswith("|")).strip("|").split("|")
    shown = dict(zip(heads, (cell.strip() for cell in cells), strict=True))
    for name in ("period, steps", "period x product", "norm's decay", "norm before", "loss at peak"):
        assert shown[name] == "\N{EN DASH}"
    assert (shown["periods"], shown["destabilisations a run"]) == ("0", "0.0")
    assert any("never zero" in line for line in lines)


def test_a_verdict_says_whether_the_theory_is_inside(with_decay):
    """Periods that go as the square of the inverse product have a slope of -2."""
    frames = {}
    for point in GRID:
        rows = round(60 * (1e-2 / math.prod(point)) ** 0.5)
        frames[point] = [teeth([60, rows, rows, rows, 30], math.prod(point))] * 2
    for row in period_laws.table.rows(analyse(made_up(with_decay, frames))):
        assert row["slope"] == pytest.approx(-0.5, abs=0.01)
        assert row["verdict"] == "outside it"


def test_a_run_that_was_lost_has_no_course(with_decay):
    results = with_decay.results
    pools = tuple(
        dataclasses.replace(
            pool,
            stored=tuple(
                dataclasses.replace(one, member=one.member.model_copy(update={"status": "diverged"}))
                if one.member.run.seed == 1
                else one
                for one in pool.stored
            ),
        )
        for pool in results.pools
    )
    assert [
        row["members"] for row in periods.table.rows(analyse(dataclasses.replace(results, pools=pools)))
    ] == [1] * 4


def figures_of(results: Results) -> dict[str, Figure]:
    return dict(drawn(analyse(results)))


def test_figures_are_drawn_as_far_as_there_is_something_to_draw(on_sphere, with_decay):
    assert list(figures_of(on_sphere.results)) == ["regimes", "regimes_phase"]
    grid = made_up(with_decay, {point: periodic(point) for point in GRID})
    assert list(figures_of(grid)) == ["period_laws", "periods", "periods_phase"]
    assert list(figures_of(with_decay.results)) == ["periods", "periods_phase"]  # settling: no law
    assert figures_of(made_up(with_decay, {point: [None, None] for point in GRID})) == {}


def test_a_figure_shows_every_rate_and_period(on_sphere, with_decay):
    grid = made_up(with_decay, {point: periodic(point) for point in GRID})
    shown = figures_of(on_sphere.results) | figures_of(grid)
    for axes in shown["regimes"].axes:
        assert [line.get_label() for line in axes.lines] == [f"{rate:g}" for rate in RATES]
        assert all(len(line.get_xdata()) == 24 for line in axes.lines)
    assert len(shown["periods"].axes) == 4
    (axes,) = shown["period_laws"].axes
    (bars,) = axes.containers
    expected = [row["period"] for row in periods.table.rows(analyse(grid))]
    assert sorted(bars[0].get_ydata()) == pytest.approx(sorted(expected))


@pytest.mark.parametrize("rate", [1e-3, 1.4e-2, 0.0123456, 0.100049, 1 / 3])
def test_a_rate_of_however_many_digits_has_its_line(rate, on_sphere):
    """Histories are drawn with a few digits; rates keep all of theirs."""
    runs = [frame(1 / T, effective_learning_rate=np.full(len(T), np.float32(rate)))] * 2
    results = made_up(on_sphere, {(swept_rate,): runs for swept_rate in RATES})
    results = with_recipe(dataclasses.replace(results, pools=results.pools[:1]), effective_learning_rate=rate)
    assert [row["effective_learning_rate"] for row in regimes.table.rows(analyse(results))] == [rate]
    assert [len(axes.lines) for axes in figures_of(results)["regimes"].axes] == [1, 1]


@pytest.mark.parametrize("name", ["effective_gradient_norm", "norm", "train_loss"])
def test_an_infinite_number_of_a_history_is_written_as_no_number(name, on_sphere):
    """As the last row before a run is lost may have: a norm too large for its type."""
    wild = frame(0.5 + 0 * T, **{name: np.where(T == 30, np.inf, 1.0)})
    results = made_up(on_sphere, {(rate,): [wild] * 2 for rate in RATES})
    rows = history.table.rows(analyse(results))
    assert rows[29][name] is None
    assert rows[28][name] is not None


def test_a_study_with_a_rate_far_too_large_is_reported(with_decay, tmp_path):
    """At 1e4 the last rows before the loss is none have an infinite gradient."""
    fields = WITH_DECAY | {"name": "lost", "sweep": "learning_rate = [1e4]\nweight_decay = [1e-3]"}
    text = STUDY.format(**fields).replace('"full"', '"practical"')
    path = tmp_path / "lost.toml"
    path.write_text(text)
    planned, store = plan_study(studies.load_study(path)), Store(tmp_path / "store")
    assert {one.status for one in run(planned, store, executor="serial")} == {"diverged"}
    report(analyse(evaluate(planned, store)), tmp_path / "out")
    with (tmp_path / "out" / "history.csv").open(newline="") as file:
        assert list(csv.DictReader(file))
