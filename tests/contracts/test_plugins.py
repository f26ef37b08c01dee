"""A part of another package is one file: found by its entry point, listed, planned, run and reported.

The package is examples/plugin, laid out as pip would: its modules on the path, entry points beside them.
"""

import json
import tomllib
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator, nn

from ensembudget.catalog import CATALOGS
from ensembudget.datasets._base import Arrays
from ensembudget.datasets._data import Data
from ensembudget.errors import PlanError
from ensembudget.families._base import Family
from ensembudget.families._build import describe
from ensembudget.families._layers import Linear
from ensembudget.records import Member, Run, Task, TokenTask
from ensembudget.rendering.render import from_csv
from ensembudget.store import Store
from ensembudget.training.loop import train
from helpers import ROOT, Site, make_site
from resuming import assert_resumes_after_every_epoch

PLUGIN = ROOT / "examples" / "plugin"
GROUPS: dict[str, dict[str, str]] = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"][
    "entry-points"
]
PARTS = [(group.removeprefix("ensembudget."), *next(iter(parts.items()))) for group, parts in GROUPS.items()]

# Torch says so once a process, where a way asks which kernels it may use.
KERNELS = pytest.mark.filterwarnings("ignore:TF32 acceleration:UserWarning")

STUDY = """
name = "foreign"
description = "nothing of it is ensembudget's own"
family = "perceptron"
dataset = "stripes"
mode = "nesterov"
budget_kind = "macs"
budgets = ["20kMAC"]
members = [1, 2]
pool = 2
replicates = 1
keep_weights = true
stepping = { pack = 2, way = "plain_kernels" }
probes = [{ kind = "sharpness" }]

[recipe]
epochs = 3
batch_size = 32
learning_rate = 0.05
crop_padding = 0
flip = false
"""


def source_of(module: str) -> str:
    return (PLUGIN / f"{module.replace('.', '/')}.py").read_text()


@pytest.fixture(scope="module")
def site(tmp_path_factory, cache) -> Site:
    """All parts of the example, and a study of them that is trained and reported."""
    made = make_site(tmp_path_factory.mktemp("plugin"))
    for kind, name, module in PARTS:
        made.install(kind, name, module, source_of(module))
    (made.folder / "foreign.toml").write_text(STUDY)
    assert made("run", "foreign.toml", "--executor", "narrow_first").code == 0
    reported = made("report", "foreign.toml", "--out", "report")
    assert (reported.code, reported.err) == (0, "")
    (made.folder / "printed.txt").write_text(reported.out)
    return made


@pytest.fixture
def all_parts(install, folder) -> Path:
    """All parts of the example in this process, where its commands take no torch to import again."""
    for kind, name, module in PARTS:
        install(f"of_{kind}", **{kind: {name: source_of(module)}})
    return folder


def test_the_example_has_a_part_of_every_kind():
    assert sorted(kind for kind, _, _ in PARTS) == sorted(CATALOGS)


@pytest.mark.parametrize(("kind", "name", "module"), PARTS, ids=[kind for kind, _, _ in PARTS])
def test_a_single_file_is_a_part_and_ls_says_what_it_is(kind, name, module, install, command):
    install("alone", **{kind: {name: source_of(module)}})
    lines = dict(line.split(maxsplit=1) for line in command("ls", kind).out.splitlines())
    about = source_of(module).splitlines()[0].strip('"')
    assert lines[name] == about
    assert set(lines) == {*CATALOGS[kind], *CATALOGS[kind].made, name}


def test_family_dataset_and_budget_kind_are_planned(site):
    (row,) = json.loads(
        site("plan", "--family", "perceptron", "--dataset", "stripes", "--budget", "20kMAC", "--members", "2",
             "--format", "json").out
    )  # fmt: skip
    assert row["budget_kind"] == "macs"
    assert row["budget"] == 20_000
    # 64 pixels to 8 k hidden units to 4 classes.
    assert row["width"] == round(20_000 / 2 / (8 * (64 + 4)))
    assert row["flops_per_sample"] == 2 * 2 * 8 * row["width"] * (64 + 4)


def members_of(site: Site) -> list[Member]:
    """The members of the store, in the order in which they were published."""
    found = (site.folder / "store" / "members").glob("*/*/member.json")
    keys = [path.parent.name for path in sorted(found, key=lambda path: path.stat().st_mtime_ns)]
    return [Store(site.folder / "store").read(key).member for key in keys]


def test_a_run_is_of_the_family_dataset_mode_and_way(site):
    members = members_of(site)
    assert {one.environment.way for one in members} == {"plain_kernels"}
    assert {(one.run.cell.family, one.run.cell.dataset, one.run.cell.mode) for one in members} == {
        ("perceptron", "stripes", "nesterov")
    }
    # Trained, and not merely stored: by chance one image in four is right.
    rows = from_csv((site.folder / "report" / "members.csv").read_text())
    assert len(rows) == len(members) == 4
    assert all(float(row["accuracy"]) > 0.5 for row in rows)


def test_the_executor_trains_in_its_own_order(site):
    widths = [one.run.cell.width for one in members_of(site)]
    assert widths == sorted(widths)
    assert len(set(widths)) == 2


def test_the_law_is_fitted(site):
    points = [f"{m},{0.5 + 0.25 / m}" for m in (1, 2, 4, 8)]
    (site.folder / "points.csv").write_text("\n".join(["m,y", *points]))
    found = json.loads(
        site("fit", "points.csv", "--x", "m", "--y", "y", "--law", "inverse", "--format", "json").out
    )
    assert found["law"] == "inverse"
    assert found["b"]["value"] == pytest.approx(0.25)
    assert found["c"]["value"] == pytest.approx(0.5)


def test_the_table_is_in_the_report_in_every_format(site):
    written = {path.name for path in (site.folder / "report").glob("pools.*")}
    assert written == {"pools.csv", "pools.md", "pools.tex", "pools.html"}
    rows = from_csv((site.folder / "report" / "pools.csv").read_text())
    members = from_csv((site.folder / "report" / "members.csv").read_text())
    for row in rows:
        losses = [one["cnll"] for one in members if one["width"] == row["width"]]
        assert row["trained"] == len(losses) == 2
        assert row["lowest"] == pytest.approx(min(losses))
        assert row["average"] == pytest.approx(sum(losses) / 2)
    assert "Members of every pool" in (site.folder / "printed.txt").read_text()


def test_the_probe_is_measured_at_every_member(site):
    store = Store(site.folder / "store")
    kept = [json.loads(path.read_text())["probe"] for path in (site.folder / "store" / "probes").iterdir()]
    assert sorted(one["subject"]["members"] for one in kept) == sorted(
        [run.key] for run in (store.read(one["subject"]["members"][0]).member.run for one in kept)
    )
    assert len(kept) == len(members_of(site))
    for one in kept:
        at_member, beside = one["points"]
        assert one["facts"]["rise"] == pytest.approx(beside["train_loss"] - at_member["train_loss"])


def test_the_metric_is_in_every_table_of_scores(site):
    report = site.folder / "report"
    for name in ("scores", "members", "memory_split"):
        for row in from_csv((report / f"{name}.csv").read_text()):
            # Two guesses are right at least as often as one.
            assert row["accuracy"] <= row["top_two"] <= 1
    assert "top two" in (report / "memory_split.md").read_text()


def test_the_figure_is_in_the_report(site):
    report = site.folder / "report"
    assert (report / "calibration.png").read_bytes().startswith(b"\x89PNG")
    assert "CNLL, nats per sample" in (report / "calibration.svg").read_text()


@KERNELS
def test_the_dtype_is_planned_run_and_reported(all_parts, command):
    text = STUDY.replace('"foreign"', '"rounded"').replace("members = [1, 2]", "members = [1]")
    study = text.replace("[recipe]", 'dtype = ["float32", "float8"]\n\n[recipe]')
    (all_parts / "rounded.toml").write_text(study)
    ran = command("run", "rounded.toml", "--store", "rounded", "--executor", "serial")
    assert ran.code == 0, ran.err
    assert command("report", "rounded.toml", "--store", "rounded", "--out", "rounded-report").code == 0
    rows = from_csv((all_parts / "rounded-report" / "dtypes.csv").read_text())
    assert [row["dtype"] for row in rows] == ["float32", "float8"]
    width = rows[0]["width"]
    assert rows[1]["width"] == width  # the budget is of operations
    weights = 64 * 8 * width + 8 * width * 4
    assert rows[0]["bytes_total"] - rows[1]["bytes_total"] == 3 * weights
    assert 0 < abs(rows[0]["cnll"] - rows[1]["cnll"]) < 0.1


@KERNELS
def test_the_method_is_planned_run_and_reported(all_parts, command):
    arms = """
[[arms]]
name = "whole"

[[arms]]
name = "last"
method = "last_epochs"
method_options = { predictors = 3 }
"""
    text = STUDY.replace('"foreign"', '"units"').replace("20kMAC", "60kMAC").replace("[1, 2]", "[1]")
    text = text.replace("keep_weights = true", "").replace('probes = [{ kind = "sharpness" }]', "")
    (all_parts / "units.toml").write_text(text + arms)
    ran = command("run", "units.toml", "--store", "units", "--executor", "serial")
    assert ran.code == 0, ran.err
    assert command("report", "units.toml", "--store", "units", "--out", "units-report").code == 0
    whole, last = from_csv((all_parts / "units-report" / "methods.csv").read_text())
    assert [row["method"] for row in (whole, last)] == ["independent", "last_epochs"]
    # The budget is of operations: three passes of a network with a third of them.
    assert (whole["predictors"], last["predictors"]) == (1, 3)
    assert last["width"] == pytest.approx(whole["width"] / 3, abs=1)
    hidden = 8 * last["width"]  # two linear layers with biases, and batch norm between them
    assert last["parameters_total"] == 3 * (65 * hidden + 2 * hidden + 4 * hidden + 4)
    assert 0 <= last["disagreement"] < 0.5 < last["weight_cosine"] < 1


def test_the_format_is_exported_and_loaded_again(site):
    said = site(
        "export", "foreign.toml", "--budget", "20kMAC", "--members", 2, "--format", "npz", "--out", "shipped"
    )
    assert (said.code, said.err.count("internal error")) == (0, 0)
    card = json.loads((site.folder / "shipped" / "card.json").read_text())["card"]
    assert card["blueprint"]["family"] == "perceptron"
    assert card["files"]["npz"]["difference"] < 1e-5
    with np.load(site.folder / "shipped" / "ensemble.npz") as archive:
        assert sum(archive[name].nbytes for name in archive) == card["files"]["npz"]["tensor_bytes"]
        assert {name.partition(".")[0] for name in archive} == {"0", "1"}


def test_the_method_goes_on_from_its_checkpoints(make_cell, digits, tmp_path, monkeypatch, plug_in):
    monkeypatch.syspath_prepend(str(PLUGIN))
    plug_in("methods", "last_epochs", method=import_module("ensembudget_example.last_epochs").method)
    options = {"method": "last_epochs", "method_options": {"predictors": 2}}
    cell = make_cell(family="convnet", options={}, width=2, train_size=40, epochs=3, **options)
    there = assert_resumes_after_every_epoch([Run(cell=cell, seed=seed) for seed in (0, 1)], digits, tmp_path)
    assert [one.epoch for one in there] == [1, 2, 3]


WORDS = TokenTask("word_dropout", classes=2, vocabulary=10, length=8)


class Bag(nn.Module):
    """Counts the tokens of a text; two linear layers choose its class."""

    def __init__(self, width, task, members):
        super().__init__()
        self.members, self.vocabulary = members, task.vocabulary
        self.first = Linear(task.vocabulary, 8 * width, members=members)
        self.last = Linear(8 * width, task.classes, members=members)

    def forward(self, tokens):
        tokens = tokens.unflatten(1, (self.members, -1, 1))
        counts = (tokens == torch.arange(self.vocabulary, device=tokens.device)).sum(2)
        counts[..., 0] = 0  # padding
        return self.last(self.first(counts.flatten(1).to(self.first.weight.dtype)).relu())


@pytest.fixture
def words(plug_in, monkeypatch):
    """The task, and a family of these tests that does it."""
    monkeypatch.syspath_prepend(str(PLUGIN))
    module = import_module("ensembudget_example.word_dropout")
    plug_in("tasks", "word_dropout", task=module.task)
    plug_in("families", "bag", family=Family(Bag, tasks=frozenset(("word_dropout",))))
    return module


def test_the_task_strikes_out_a_tenth_of_the_tokens_but_the_first(words, make_cell):
    inputs, _ = words.task.random(WORDS, 4000, Generator().manual_seed(0))
    feed = words.task.feed(make_cell().recipe, WORDS, inputs)
    changed = feed.augment(inputs, feed.draw(4000, Generator().manual_seed(1)).changes)
    struck = changed != inputs
    assert (changed[struck] == 0).all()
    assert not struck[:, 0].any()
    shares = struck[:, 1:].double().mean(0)
    assert shares.numpy() == pytest.approx(0.1, abs=4 * (0.1 * 0.9 / 4000) ** 0.5)


def test_the_task_is_trained_by_a_family_that_does_it(words, make_cell):
    # A text is of the second class where token 5 is in it.
    inputs = words.task.random(WORDS, 600, Generator().manual_seed(0))[0].numpy()
    labels = (inputs == 5).any(1).astype(np.int64)
    arrays = Arrays(inputs[:400], labels[:400], inputs[400:], labels[400:], 2, task=WORDS)
    cell = make_cell(family="bag", options={}, width=4, epochs=15, train_size=300)
    runs = [Run(cell=cell, seed=seed) for seed in (0, 1)]
    together = train(runs, Data("words", "0" * 64, arrays))
    for one, run in zip(together, runs, strict=True):
        (alone,) = train([run], Data("words", "0" * 64, arrays))
        np.testing.assert_allclose(one.test_logits, alone.test_logits, rtol=0, atol=1e-5)
        assert (one.test_logits.argmax(1) == labels[400:]).mean() > 0.95
    most = max(labels[400:].mean(), 1 - labels[400:].mean())
    assert most < 0.7  # a guess is right more seldom


def test_a_family_that_does_not_do_a_task_says_which_does(words):
    with pytest.raises(PlanError, match=r"'vgg' does images, and .* word_dropout\. Families that do: bag\."):
        describe("vgg", 1, WORDS)
    with pytest.raises(PlanError, match=r"'bag' does word_dropout, and .* images\. Families that do: .*vgg"):
        describe("bag", 1, Task(10, 1, 8))
