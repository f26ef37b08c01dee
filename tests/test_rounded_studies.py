"""A study in several dtypes: what is trained once, what is made of it, and what is refused."""

import numpy as np
import pytest
from safetensors.numpy import load_file

import ensembudget
from ensembudget import studies
from ensembudget.analysis.dtypes import dtype_comparisons
from ensembudget.errors import StudyError
from ensembudget.planning.plan import plan
from ensembudget.records import FLOAT32, Setting, Study, Task
from ensembudget.rendering.render import from_csv
from ensembudget.scoring.comparison import minus
from ensembudget.store import Store
from ensembudget.verbs.analyse import analyse
from ensembudget.verbs.evaluate import evaluate
from ensembudget.verbs.missing import missing_runs, training_plan
from ensembudget.verbs.plan import plan_study

STUDY = """
name = "rounded"
description = "two dtypes"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 100
validation_size = 20
budget_kind = "bytes"
budgets = ["21kB"]
dtype = ["float32", "float16", "int8"]
members = [1, 2]
tolerance = 0.2
replicates = 2
pool = 3
stepping = { pack = 3 }

[recipe]
epochs = 2
batch_size = 32
"""
SERIAL = ("--executor", "serial", "--stepping", "compiled=no")


def make_plan(**changes):
    fields = {
        "name": "d", "description": "d", "family": "wide_resnet", "options": {"depth": 10},
        "dataset": "digits",
        "train_size": 100, "validation_size": 100, "budget_kind": "bytes", "budgets": ["60kB"],
        "members": [1, 2], "tolerance": 0.2, "pool": 3, "replicates": 1,
    }  # fmt: skip
    study = Study(**{**fields, **changes})
    return plan(study, Task(10, 1, 8), digest="0" * 64, dataset="digits", train_samples=1000)


@pytest.fixture(scope="module")
def folder_of_run(tmp_path_factory, cache):
    """A folder in which the study was run."""
    folder = tmp_path_factory.mktemp("dtypes")
    (folder / "rounded.toml").write_text(STUDY)
    planned = plan_study(studies.load_study(folder / "rounded.toml"))
    ensembudget.run(planned, Store(folder / "store"), executor="serial")
    return folder


@pytest.fixture(scope="module")
def run_here(folder_of_run):
    planned = plan_study(studies.load_study(folder_of_run / "rounded.toml"))
    return planned, Store(folder_of_run / "store")


# What is planned.


def test_a_list_is_an_axis_and_one_dtype_is_none():
    listed, plain = make_plan(dtype=["int8"]), make_plan(dtype="int8")
    assert (listed.settings, plain.settings) == ([Setting(dtype="int8")], [Setting()])
    assert [run.key for run in listed.runs] == [run.key for run in plain.runs]
    assert {one.cell.dtype for one in plain.cells} == {"int8"}


def test_the_same_bytes_hold_wider_networks_in_fewer_bits():
    found = make_plan(dtype=["float32", "float16", "int8"])
    widths = {(s.dtype, s.members): s.width for s in found.splits}
    for members in (1, 2):
        of_size = [widths[name, members] for name in ("float32", "float16", "int8")]
        assert of_size == sorted(set(of_size))
    assert widths["float16", 2] == widths["float32", 1]


def test_float32_changes_no_key():
    assert [run.key for run in make_plan(dtype=["float32"]).runs] == [run.key for run in make_plan().runs]


def test_other_dtypes_are_of_the_members_that_float32_trains():
    plain, rounded = (make_plan(budgets=[], widths=[5], dtype=name) for name in ("float32", "int8"))
    assert [run.trained.key for run in rounded.runs] == [run.key for run in plain.runs]
    assert not {run.key for run in rounded.runs} & {run.key for run in plain.runs}
    assert [run.stream_key for run in rounded.runs] == [run.stream_key for run in plain.runs]


def test_a_width_that_several_dtypes_have_is_trained_once():
    found = make_plan(budgets=[], widths=[5, 6], dtype=["float16", "int8"])
    trained = found.trained
    assert [(one.cell.width, one.cell.dtype, one.members) for one in trained.cells] == [
        (5, FLOAT32, 3),
        (6, FLOAT32, 3),
    ]
    assert trained.study.keep_weights


def test_tuning_chooses_once_for_all_dtypes():
    tune = {"values": {"weight_decay": [1e-4, 1e-3]}, "members": 2}
    found = make_plan(budgets=[], widths=[5], dtype=["float32", "int8"], tune=tune)
    (tuning,) = found.tuning
    assert {one.cell.dtype for one in tuning.combinations} == {FLOAT32}
    assert tuning.setting == Setting()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dtype": ["int8", "float32", "int8"]}, "dtype: 'int8' is listed twice"),
        ({"dtype": "int8", "record": {"every": 1}}, "record: histories are of training"),
    ],
)
def test_what_cannot_be_is_refused(changes, words):
    with pytest.raises(StudyError, match=words):
        make_plan(**changes)


def test_a_dtype_that_is_not_there_is_told_with_a_near_one(command, folder):
    (folder / "s.toml").write_text(STUDY.replace('"float16"', '"floot16"'))
    said = command("run", "s.toml", "--dry-run")
    assert (said.code, "no dtype 'floot16'. Did you mean 'float16'?" in said.err) == (2, True), said.err


@pytest.mark.parametrize(
    ("written", "words"),
    [("8", "dtype = 8: input should be a valid string"), ("[]", "dtype = []: list should have at least 1")],
)
def test_what_is_no_name_is_one_fault(command, folder, written, words):
    (folder / "s.toml").write_text(STUDY.replace('["float32", "float16", "int8"]', written))
    said = command("run", "s.toml", "--dry-run")
    assert (said.code, words in said.err) == (2, True), said.err


# What is trained, and what is made of it.


def test_every_member_is_there_and_rounded_ones_have_other_logits(run_here):
    planned, store = run_here
    assert missing_runs(planned, store) == []
    rounded = [run for run in planned.runs if not run.cell.is_trained]
    assert {run.cell.dtype for run in rounded} == {"float16", "int8"}
    for run in rounded:
        one, source = store.read(run.key), store.read(run.trained.key)
        assert one.member.run == run
        assert one.member.parameters == source.member.parameters
        off = np.abs(one.test_logits - source.test_logits).max()
        assert 0 < off < (0.05 if run.cell.dtype == "float16" else 1.0)
        np.testing.assert_array_equal(one.test_labels, source.test_labels)
        assert "weights" in store.artefacts(source.member.run.key)
        assert store.artefacts(run.key) == {"logits"}


def test_run_again_trains_and_rounds_nothing(run_here):
    planned, store = run_here
    assert ensembudget.run(planned, store, executor="serial") == []


def test_a_lost_rounded_member_is_made_again_without_training(run_here, tmp_path):
    planned, store = run_here
    other = Store(tmp_path / "other")
    other.merge(store)
    run = next(run for run in planned.runs if run.cell.dtype == "int8")
    before = other.read(run.key)
    folder = other.root / "members" / run.key[:2] / run.key
    folder.rename(tmp_path / "lost")
    assert missing_runs(planned, other) == [run]
    assert missing_runs(training_plan(planned, other), other) == []
    (outcome,) = ensembudget.run(planned, other, executor="serial")
    assert (outcome.key, outcome.status) == (run.key, "done")
    np.testing.assert_array_equal(other.read(run.key).test_logits, before.test_logits)


def test_weights_that_were_not_kept_are_trained_again(folder_of_run, tmp_path, cache):
    study = studies.load_study(folder_of_run / "rounded.toml")
    plain = plan_study(study.model_copy(update={"dtype": "float32"}))
    store = Store(tmp_path / "store")
    ensembudget.run(plain, store, executor="serial")
    assert all(store.artefacts(run.key) == {"logits"} for run in plain.runs)
    planned = plan_study(study)
    outcomes = ensembudget.run(planned, store, executor="serial")
    assert {one.status for one in outcomes} == {"done"}
    assert missing_runs(planned, store) == []


def test_a_member_whose_numbers_are_beyond_the_dtype_counts_as_diverged(make_cell, tmp_path, cache, digits):
    from ensembudget.executors._base import Job
    from ensembudget.executors._worker import work
    from ensembudget.records import Run, Stepping
    from ensembudget.training.loop import train
    from helpers import HERE

    run = Run(cell=make_cell(dtype="float16"), seed=0)
    store = Store(tmp_path / "store")
    (trained,) = train([run.trained], digits, keep_weights=True)
    name = next(name for name in trained.weights if name.endswith("running_var"))
    trained.weights[name] = trained.weights[name] + np.float32(1e9)
    name = next(name for name in trained.weights if name.endswith("bias"))
    trained.weights[name] = trained.weights[name] + np.float32(1e9)
    labels = (digits.arrays.train_labels[-50:], digits.arrays.test_labels)
    store.publish(trained, labels, HERE)
    job = Job(
        runs=[run], store=str(store.root), device="cpu", threads=1, stepping=Stepping(), keep_weights=False
    )
    (outcome,) = work(job, lambda epoch: None)
    assert outcome.status == "diverged"
    assert store.read(run.key).member.diverged_at == run.cell.steps


# What is said of it.


def test_all_dtypes_are_compared_at_one_budget(run_here):
    planned, store = run_here
    (found,) = analyse(evaluate(planned, store)).dtypes
    rows = {(row.result.split.dtype, row.result.split.members): row for row in found.rows}
    assert set(rows) == {(name, n) for name in ("float32", "float16", "int8") for n in (1, 2)}
    lowest = min(row.score.cnll.value for row in found.rows)
    assert found.best.score.cnll.value == lowest
    wide = rows["float32", 1]
    for key, row in rows.items():
        gap = row.score.cnll.value - wide.score.cnll.value
        if key == ("float32", 1):
            assert row.compared.difference is None
        else:
            assert row.compared.difference.value == pytest.approx(gap, abs=1e-12)
        assert row.compared.above.value == pytest.approx(row.score.cnll.value - lowest, abs=1e-12)
    # Simultaneous intervals are wider than Student's of one pair.
    pair = minus(rows["int8", 2].score.losses, wide.score.losses)
    together = rows["int8", 2].compared.difference
    assert together.low <= pair.low <= pair.high <= together.high
    assert [row.result.split.dtype for row in found.best_of_each] == ["float32", "float16", "int8"]


def test_one_dtype_has_no_comparison(run_here):
    planned, store = run_here
    budgets = analyse(evaluate(planned, store)).budgets
    assert dtype_comparisons([one for one in budgets if one.setting.dtype == "int8"]) == ()


def test_the_report_has_a_table_of_dtypes(folder_of_run, command, monkeypatch):
    monkeypatch.chdir(folder_of_run)
    said = command("report", "rounded.toml", "--store", "store", "--out", "report")
    assert said.code == 0, said.err
    rows = from_csv((folder_of_run / "report" / "dtypes.csv").read_text())
    assert [(row["dtype"], row["members"]) for row in rows] == [
        (name, n) for name in ("float32", "float16", "int8") for n in (1, 2)
    ]
    assert "the best in any dtype is" in (folder_of_run / "report" / "dtypes.md").read_text()
    split = from_csv((folder_of_run / "report" / "memory_split.csv").read_text())
    assert {row["dtype"] for row in split} == {"float32", "float16", "int8"}


def test_status_counts_rounded_members(folder_of_run, command, monkeypatch):
    monkeypatch.chdir(folder_of_run)
    said = command("status", "rounded.toml", "--store", "store", "--columns", "all")
    assert "0 of 21 members to train" in said.out, said.out


def test_a_dry_run_tells_what_is_rounded(command, folder):
    (folder / "rounded.toml").write_text(STUDY)
    said = command("run", "rounded.toml", "--dry-run", *SERIAL)
    assert said.code == 0, said.err
    assert "21 members planned, 0 in the store, 18 to train:" in said.out
    assert "and 14 to round from trained ones." in said.out


# What is shipped.


@pytest.mark.parametrize(("dtype", "numbers"), [("float16", {"F16"}), ("int8", {"I8", "F32"})])
def test_the_file_to_ship_has_the_bytes_that_the_budget_counts(
    folder_of_run, tmp_path, command, monkeypatch, dtype, numbers, digits
):
    monkeypatch.chdir(folder_of_run)
    out = tmp_path / "shipped"
    said = command(
        "export", "rounded.toml", "--store", "store", "--budget", "21kB", "--dtype", dtype, "--members", 2,
        "--out", out,
    )  # fmt: skip
    assert said.code == 0, said.err
    loaded = ensembudget.load(out)
    card = loaded.card
    assert card.blueprint.dtype == card.budget.dtype == dtype
    assert card.files["safetensors"].tensor_bytes == card.budget.bytes
    assert card.files["safetensors"].difference < 1e-5
    stored = load_file(out / "ensemble.safetensors")
    words = {"float16": "F16", "int8": "I8", "float32": "F32"}
    assert {words[str(one.dtype)] for one in stored.values()} == numbers
    found = loaded.predict(list(digits.arrays.test_inputs[:5, :, :, 0]))
    assert found.probabilities.shape == (5, 10)


def test_graphs_hold_the_rounded_numbers(folder_of_run, tmp_path, command, monkeypatch):
    monkeypatch.chdir(folder_of_run)
    out = tmp_path / "graph"
    said = command(
        "export", "rounded.toml", "--store", "store", "--budget", "21kB", "--dtype", "int8",
        "--format", "torch", "--out", out,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "Weights are rounded to int8" in said.out
    assert "Weights are rounded to int8" in (out / "README.md").read_text()


def test_rounded_inputs_are_not_shipped(tmp_path, command, folder):
    (folder / "s.toml").write_text(STUDY.replace('["float32", "float16", "int8"]', '"int8_static"'))
    assert command("run", "s.toml", *SERIAL).code == 0
    said = command("export", "s.toml", "--budget", "21kB", "--out", tmp_path / "out")
    assert (said.code, "no format holds the ranges" in said.err) == (2, True), said.err
    assert not (tmp_path / "out").exists()


def test_a_setting_of_several_dtypes_is_asked_for(folder_of_run, command, monkeypatch, tmp_path):
    monkeypatch.chdir(folder_of_run)
    said = command("export", "rounded.toml", "--store", "store", "--budget", "21kB", "--out", tmp_path / "o")
    assert (said.code, "Choose one with --dtype" in said.err) == (2, True), said.err
