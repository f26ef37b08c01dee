"""From Python: arrays and budgets as people write them, and members without a study."""

import json

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import ensembudget
from ensembudget.errors import (
    ArgumentError,
    DatasetError,
    EnsembudgetError,
    PlanError,
    ScoreError,
    StudyError,
)
from ensembudget.records import Stepping, Study, Task
from ensembudget.training.loop import train
from helpers import ROOT

LOGITS = np.random.default_rng(0).normal(size=(4, 60, 3))
LABELS = np.arange(60) % 3
HOW = {
    "recipe": {"epochs": 1, "batch_size": 32, "crop_padding": 1},
    "options": {"depth": 10},
    "train_size": 64,
}


GIVEN = {
    "tensors": (torch.tensor(LOGITS), torch.tensor(LABELS)),
    "lists": (LOGITS.tolist(), LABELS.tolist()),
    "a list of arrays": (list(LOGITS), LABELS),
    "a list of tensors": ([torch.tensor(one) for one in LOGITS], LABELS),
    "an array in reverse": (LOGITS[::-1].copy()[::-1], LABELS),
    "labels of 16 bits": (LOGITS, LABELS.astype(np.int16)),
    "a tensor with a gradient": (torch.tensor(LOGITS, requires_grad=True), torch.tensor(LABELS)),
}


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_numbers_are_scored_alike_whatever_holds_them(given):
    assert ensembudget.calibrated_nll(*given) == ensembudget.calibrated_nll(LOGITS, LABELS)
    assert ensembudget.score_pool(*given).scores == ensembudget.score_pool(LOGITS, LABELS).scores


def test_an_array_that_may_not_be_written_is_scored_and_left_as_it_is():
    logits = LOGITS.copy()
    logits.flags.writeable = False
    assert ensembudget.calibrated_nll(logits, LABELS) == ensembudget.calibrated_nll(LOGITS, LABELS)
    assert (logits == LOGITS).all()


@pytest.mark.parametrize(
    ("logits", "labels"),
    [
        ([[[1.0, 2.0]], [[1.0]]], [0]),
        ([[["a", "b"]]], [0]),
        (None, LABELS),
        (LOGITS, ["crow", "owl"]),
        ([torch.zeros(2, 3), torch.zeros(3, 3)], [0, 1]),
    ],
    ids=["ragged", "words", "nothing", "names", "unequal tensors"],
)
def test_what_is_no_array_of_numbers_is_refused_in_one_line(logits, labels):
    with pytest.raises(ScoreError) as caught:
        ensembudget.calibrated_nll(logits, labels)
    assert "\n" not in str(caught.value)


TASK = Task(100, 3, 32)


@pytest.mark.parametrize("budget", ["15M", 15_000_000, 15e6, "15_000_000", np.int64(15_000_000)], ids=repr)
def test_a_budget_is_read_as_people_write_it(budget):
    found = ensembudget.split("vgg", TASK, budget, 4)
    assert (found.budget, found.budget_kind, found.width) == (15_000_000, "parameters", 32)
    assert found == ensembudget.split("vgg", "cifar100", budget, members=4)


def test_the_unit_of_a_budget_says_its_kind():
    found = ensembudget.split("vgg", TASK, "60MB", 4)
    assert (found.budget, found.budget_kind) == (60_000_000, "bytes")
    assert found.width == ensembudget.split("vgg", TASK, "15M", 4).width
    assert ensembudget.split("vgg", TASK, 60_000_000, 4, "bytes") == found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((TASK, "many", 4), "'many' is not a number"),
        ((TASK, 0, 4), "budget 0 is below 1"),
        ((TASK, "15M", 4, "bytes"), "15M"),
        (("cifar", "15M", 4), "cifar"),
    ],
)
def test_what_cannot_be_split_is_refused(arguments, message):
    with pytest.raises(EnsembudgetError, match=message):
        ensembudget.split("vgg", *arguments)
    assert issubclass(PlanError, EnsembudgetError)


def test_a_pool_is_what_a_study_trains(digits):
    pool = ensembudget.train_pool("wide_resnet", 2, "digits", 2, **HOW, validation_size=50)
    study = Study(
        name="x", description="", family="wide_resnet", options={"depth": 10}, dataset="digits",
        widths=[2], pool=2, train_size=64, validation_size=50, recipe=HOW["recipe"],
    )  # fmt: skip
    (cell,) = ensembudget.plan_study(study).cells
    assert pool.cell == cell.cell
    for one, other in zip(pool.members, train(cell.runs, digits, stepping=Stepping(pack=2)), strict=True):
        assert one.run == other.run
        assert (one.test_logits == other.test_logits).all()
    assert (pool.labels == digits.arrays.test_labels).all()
    assert pool.logits.shape == (2, 797, 10)
    later = ensembudget.train_pool("wide_resnet", 2, digits, 1, **HOW, validation_size=50, first_seed=1)
    assert np.allclose(later.logits[0], pool.logits[1], atol=1e-4)


def test_images_of_ones_own_are_trained_on(digits):
    arrays = digits.arrays
    data = ensembudget.data_of(
        arrays.train_inputs[..., 0], arrays.train_labels, arrays.test_inputs, arrays.test_labels, name="mine"
    )
    assert (data.digest, data.task, data.name) == (digits.digest, digits.task, "mine")
    one = ensembudget.train_member("wide_resnet", 2, data, seed=3, **HOW)
    other = ensembudget.train_member("wide_resnet", 2, "digits", seed=3, **HOW)
    assert (one.test_logits == other.test_logits).all()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"width": 0}, ArgumentError, "widths.0 = 0"),
        ({"members": 0}, ArgumentError, "pool = 0"),
        ({"recipe": {"epochs": 0}}, ArgumentError, "epochs = 0"),
        ({"recipe": {"epoch": 1}}, ArgumentError, "epoch"),
        ({"family": "vggg"}, StudyError, "Did you mean 'vgg'"),
        ({"mode": "spher"}, StudyError, "Did you mean 'sphere'"),
        ({"train_size": 3}, StudyError, "train_size 3 is below the 10 classes"),
        ({"data": "digts"}, EnsembudgetError, "Did you mean 'digits'"),
    ],
    ids=str,
)
def test_what_cannot_be_trained_is_refused(changes, error, message):
    arguments = {"family": "wide_resnet", "width": 2, "data": "digits", "members": 1, **HOW, **changes}
    with pytest.raises(error, match=message):
        ensembudget.train_pool(**arguments)


@pytest.mark.parametrize(
    ("images", "error"),
    [
        (np.zeros((20, 8, 8)), ArgumentError),
        (np.zeros((20, 8, 9), np.uint8), DatasetError),
        (np.zeros((20, 64), np.uint8), ArgumentError),
    ],
    ids=["floats", "not square", "flat"],
)
def test_images_that_cannot_be_trained_on_are_refused(images, error):
    labels = np.arange(20) % 2
    with pytest.raises(error):
        ensembudget.data_of(images, labels, images, labels)


def test_splits_are_compared_as_in_a_report():
    """The numbers are those of `compare`, which reports are made of; see tests/scoring/test_comparison.py."""
    better = LOGITS + 2 * np.eye(3)[LABELS]
    found = ensembudget.compare_splits({2: better, 1: LOGITS}, LABELS)
    assert [one.members for one in found] == [1, 2]
    wide, two = found
    assert two.cnll.value == pytest.approx(ensembudget.score_pool(better, LABELS).mean(2, "cnll"))
    assert two.compared.difference.value == pytest.approx(two.cnll.value - wide.cnll.value)
    assert (str(two.compared.verdict), str(two.compared.best), str(wide.compared.best)) == (
        "better", "best", "worse",
    )  # fmt: skip


def test_a_comparison_without_labels_or_members_is_refused():
    with pytest.raises(ScoreError, match="labels of the test images are missing"):
        ensembudget.compare_splits({1: LOGITS})
    with pytest.raises(ScoreError, match="ensembles of 8 cannot be drawn from a pool of 4"):
        ensembudget.compare_splits({8: LOGITS}, LABELS)


def test_splits_are_drawn_into_axes_with_their_intervals():
    found = ensembudget.compare_splits({1: LOGITS, 2: LOGITS, 4: LOGITS}, LABELS)
    left, right = Figure().subplots(1, 2)
    ensembudget.plot_splits(found, left, label="mine", color="black")
    points = left.lines[0].get_xydata()
    assert points.tolist() == [[one.members, one.cnll.value] for one in found]
    (container,) = left.containers
    bars = container.lines[2][0].get_segments()
    for one, bar in zip(found, bars, strict=True):
        ends = [one.cnll.low, one.cnll.high] if one.cnll.low is not None else [one.cnll.value] * 2
        assert bar[:, 1].tolist() == pytest.approx(ends)
    star = left.lines[-1].get_xydata()
    assert star.tolist() == [min(points.tolist(), key=lambda point: point[1])]
    assert not right.lines


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path, monkeypatch):
    notebook = json.loads((ROOT / "examples" / "tour.ipynb").read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    scope = {}
    with matplotlib.rc_context():
        for cell in notebook["cells"]:
            assert {"id", "cell_type", "metadata", "source"} <= set(cell)
            if cell["cell_type"] == "code":
                assert (cell["outputs"], cell["execution_count"]) == ([], None)  # no output to go stale
                exec("".join(cell["source"]), scope)
    assert scope["accuracy"] > 0.6
    assert [one.members for one in scope["compared"]] == [1, 2, 4]
    assert (scope["folder"] / "report" / "memory_split.csv").exists()
