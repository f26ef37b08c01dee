"""`curves` and `report` of studies with several data sizes, from members whose logits are made up."""

import csv
import io
import json

import numpy as np
import pytest

from ensembudget.analysis.measured_curves import CurveSource, learning_curves
from ensembudget.analysis.plane import measured_plane
from ensembudget.cli import main
from ensembudget.store import Store
from ensembudget.studies import load_study
from ensembudget.verbs.analyse import analyse
from ensembudget.verbs.curves import study_curves
from ensembudget.verbs.evaluate import evaluate
from ensembudget.verbs.plan import plan_study
from helpers import command, publish, trained_as

STUDY = """
name = "{name}"
description = "made-up members at several data sizes"
family = "{family}"
dataset = "digits"
train_size = {sizes}
validation_size = 50
budgets = [{budgets}]
members = [1, 2]
tolerance = 0.5
narrowest = 2
pool = 4
"""
SIZES = [25, 50, 100, 200, 800]
LABELS = np.arange(300) % 10


def toml(name, family="convnet", sizes=SIZES, budgets='"4k", "8k"'):
    return STUDY.format(name=name, family=family, sizes=sizes, budgets=budgets)


def logits(run) -> np.ndarray:
    """The more images and the wider, the more certain of the true class."""
    rng = np.random.default_rng([run.seed, run.cell.width, run.cell.train_size])
    skill = 0.5 * np.log(run.cell.train_size / 10) + 0.05 * run.cell.width
    found = rng.normal(size=(len(LABELS), 10)) + skill * np.eye(10)[LABELS]
    return found.astype(np.float32)


def fill(store, plan, labels=LABELS, skip=lambda run: False):
    for cell in plan.cells:
        for run in cell.runs:
            if run.key not in store and not skip(run):
                publish(store, trained_as(run, logits(run), parameters=50 * cell.cell.width**2), labels)


@pytest.fixture(scope="module")
def place(tmp_path_factory, cache):
    """A folder with two studies of two families, and a store of their members."""
    folder = tmp_path_factory.mktemp("curves")
    store = Store(folder / "store")
    for name, family in (("conv", "convnet"), ("wrn", "wide_resnet")):
        budgets = '"4k", "8k"' if family == "convnet" else '"10k", "20k"'
        (folder / f"{name}.toml").write_text(toml(name, family, budgets=budgets))
        fill(store, plan_study(load_study(folder / f"{name}.toml")))
    return folder


def said(place, *words):
    studies = [str(place / one) for one in words if one.endswith(".toml")]
    rest = [one for one in words if not one.endswith(".toml")]
    return command("curves", *studies, "--store", place / "store", *rest)


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_one_curve_a_split_and_a_single_member_of_every_width(place):
    study = load_study(place / "conv.toml")
    plan = plan_study(study)
    found = study_curves([plan], Store(place / "store"), "cnll")
    splits = {(one.width, one.members) for one in plan.splits}
    singles = {(one.cell.width, 1) for one in plan.cells}
    assert {(one.width, one.members) for one in found.models} == splits | singles
    assert found.sizes.tolist() == SIZES
    assert found.least == 10  # one a class
    assert {len(group.rows) for group in found.budgets} == {2}


@pytest.mark.parametrize("metric", ["cnll", "nll", "error"])
def test_points_and_their_errors_are_those_of_the_scores(place, metric):
    plan = plan_study(load_study(place / "conv.toml"))
    results = evaluate(plan, Store(place / "store"))
    found = study_curves([plan], Store(place / "store"), metric)
    for row, model in enumerate(found.models):
        for column, size in enumerate(SIZES):
            pool = next(
                pool
                for pool in results.pools
                if (pool.planned.cell.width, pool.planned.cell.train_size) == (model.width, size)
            )
            name = "accuracy" if metric == "error" else metric
            mean = pool.scores.mean(model.members, name)
            assert found.values[row, column] == pytest.approx(1 - mean if metric == "error" else mean)
            variance = getattr(pool.split_losses(model.members).errors, name)
            assert found.variances[row, column] == pytest.approx(variance.value)


def test_a_tuned_pool_that_is_the_untuned_one_varies_with_it(place):
    plan = plan_study(load_study(place / "conv.toml"))
    twice = {
        name: [
            one.model_copy(update={"tuned": tuned}) for tuned in (False, True) for one in getattr(plan, name)
        ]
        for name in ("cells", "splits")
    }
    results = evaluate(plan.model_copy(update=twice), Store(place / "store"))
    found = learning_curves([CurveSource(results, measured_plane(results))], ["cnll"])[0]
    count = len(found.models) // 2
    assert [one.tuned for one in found.models] == [False] * count + [True] * count
    assert found.drawn[:, :count] == pytest.approx(found.drawn[:, count:], abs=1e-6)
    assert [group.name for group in found.budgets] == [
        f"splits of {budget} parameters, {how}"
        for how in ("untuned", "tuned")
        for budget in ("4,000", "8,000")
    ]


def test_untuned_sizes_of_one_study_join_the_curves_of_another_that_tunes(place, tmp_path):
    store, plans = Store(place / "store"), []
    for name, sizes in (("small", SIZES[:2]), ("large", SIZES[2:])):
        (tmp_path / f"{name}.toml").write_text(toml(name, sizes=sizes))
        plans.append(plan_study(load_study(tmp_path / f"{name}.toml")))
    cells = [one.model_copy(update={"tuned": False}) for one in plans[1].cells]
    splits = [one.model_copy(update={"tuned": False}) for one in plans[1].splits]
    plans[1] = plans[1].model_copy(update={"cells": cells, "splits": splits})
    found = study_curves(plans, store, "cnll")
    assert {one.tuned for one in found.models} == {False}
    assert np.isfinite(found.values).all()
    assert found.sizes.tolist() == SIZES
    assert found.least == 10  # one a class


def test_two_studies_of_one_dataset_are_ranked_together(place):
    found = said(place, "conv.toml", "wrn.toml", "--format", "json")
    document = json.loads(found.out)
    assert (found.code, list(document)) == (0, ["learning_curves", "curve_ranking"])
    assert {row["family"].partition(" ")[0] for row in document["learning_curves"]} == {
        "convnet",
        "wide_resnet",
    }
    laws = {row["law"] for row in document["learning_curves"]}
    models = len(document["learning_curves"]) // len(laws)
    whole = [row for row in document["curve_ranking"] if row["group"] == "all models"]
    assert {row["models"] for row in whole} == {models}
    assert {row["at"] for row in whole} == {800}
    assert len(whole) == 1 + len(laws)


def test_the_table_the_csv_and_the_folder_say_the_same(place, tmp_path):
    out = tmp_path / "out"
    printed = said(place, "conv.toml", "--out", str(out))
    assert printed.code == 0
    assert "Ranking of models from few training images" in printed.out
    assert {one.name for one in out.iterdir()} == {
        *(
            f"{name}.{kind}"
            for name in ("learning_curves", "curve_ranking")
            for kind in ("csv", "md", "tex", "html")
        ),
        "learning_curves.svg",
        "learning_curves.png",
    }
    assert said(place, "conv.toml", "--format", "csv").out == (out / "learning_curves.csv").read_text()
    assert "this project's own choice" in (out / "learning_curves.md").read_text()


def test_a_forecast_names_the_best_and_how_far_it_is(place, tmp_path):
    out = tmp_path / "out"
    printed = said(place, "conv.toml", "--at", "1.6k", "--out", str(out))
    assert printed.code == 0
    assert (
        "At 1,600 training images, 2.0 times the largest size measured, the best of all models" in printed.out
    )
    found = rows((out / "curve_forecasts.csv").read_text())
    for group in {row["group"] for row in found}:
        its = [row for row in found if row["group"] == group]
        assert sum(float(row["probability_best"]) for row in its) == pytest.approx(1)
        best = min(its, key=lambda row: float(row["value"]))
        assert [row["best"] for row in its].count("best") == 1
        assert best["best"] == "best"
    far = json.loads(said(place, "conv.toml", "--at", "1M", "--format", "json").out)["curve_forecasts"]
    assert {row["status"].partition(":")[0] for row in far} == {"not carried by the data"}


def test_a_report_has_curves_of_cnll_and_error(place, tmp_path):
    out = tmp_path / "report"
    printed = command("report", place / "conv.toml", "--store", place / "store", "--out", out)
    assert printed.code == 0
    ranking = rows((out / "curve_ranking.csv").read_text())
    assert {row["metric"] for row in ranking} == {"cnll", "error"}
    # An eighth of 800 is 100: three sizes.
    assert {row["largest"] for row in ranking} == {"100.0"}
    assert {row["points"] for row in rows((out / "learning_curves.csv").read_text())} == {"3"}
    assert (out / "learning_curves.png").stat().st_size > 0


def test_a_study_of_two_sizes_is_reported_without_curves(place, tmp_path):
    (tmp_path / "two.toml").write_text(toml("two", sizes=[25, 800]))
    plan = plan_study(load_study(tmp_path / "two.toml"))
    fill(Store(place / "store"), plan)
    assert analyse(evaluate(plan, Store(place / "store"))).curves == ()


def test_a_partial_study_says_what_is_missing(place, tmp_path):
    plan = plan_study(load_study(place / "conv.toml"))
    widest = max(cell.cell.width for cell in plan.cells)
    fill(
        Store(tmp_path / "part"),
        plan,
        skip=lambda run: run.cell.train_size == 800 and run.cell.width == widest,
    )
    found = command("curves", place / "conv.toml", "--store", tmp_path / "part")
    assert found.code == 0
    assert "PARTIAL: study 'conv' lacks 4 of" in found.out
    assert f"width {widest}, n = 1 was not measured" in found.out


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["conv.toml", "--at", "500"], ["--at 500", "800"]),
        (["conv.toml", "--at", "many"], ["--at 'many'", "50k"]),
        (["conv.toml", "--at", "4k", "--from-at-most", "100"], ["--at 4k", "--from-at-most 100"]),
        (["conv.toml", "--from-at-most", "30"], ["at most 30 is 25", "--from-at-most 50"]),
        (["conv.toml", "--from-at-most", "0"], ["--from-at-most '0'"]),
        (["conv.toml", "--metric", "accuracy"], ["unknown --metric 'accuracy'", "cnll, nll, error"]),
        (["one.toml"], ["at least 2 numbers of training images", "there is 100."]),
        (["one.toml", "--at", "1000"], ["at least 3 numbers of training images"]),
        (["conv.toml", "other.toml"], ["at 100 images was trained in two ways"]),
    ],
)
def test_bad_input_gets_one_message(place, words, parts):
    (place / "one.toml").write_text(toml("one", sizes=[100]))
    recipe = "\n[recipe]\nlearning_rate = 0.07\n"
    (place / "other.toml").write_text(toml("other", sizes=[100]) + recipe)
    for name in ("one", "other"):
        fill(Store(place / "store"), plan_study(load_study(place / f"{name}.toml")))
    found = said(place, *words)
    assert (found.code, found.out) == (2, "")
    assert found.err.count("\n") == 1
    assert [part for part in parts if part not in found.err] == []


def test_studies_that_were_tested_on_other_samples_are_refused(place, tmp_path):
    store = Store(tmp_path / "mixed")
    for name, labels in (("conv", LABELS), ("wrn", LABELS[::-1])):
        fill(store, plan_study(load_study(place / f"{name}.toml")), labels)
    found = command("curves", place / "conv.toml", place / "wrn.toml", "--store", store.root)
    assert found.code == 2
    assert "studies 'conv' and 'wrn' were tested on different samples" in found.err


def test_a_store_that_is_not_there_is_not_made(place, tmp_path):
    assert main(["curves", str(place / "conv.toml"), "--store", str(tmp_path / "none")]) == 2
    assert not (tmp_path / "none").exists()
