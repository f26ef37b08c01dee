"""A study of a task that predicts tokens: trained, scored, reported, bundled, verified and compared."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from ensembudget.bundling.contents import read_bundle
from ensembudget.catalog import INPUTS, METRICS, TASKS
from ensembudget.datasets._cache import digest_of, keep
from ensembudget.datasets._data import Data
from ensembudget.errors import BundleError, ComparisonError, ExportError
from ensembudget.executors._base import Job
from ensembudget.executors._worker import work
from ensembudget.packing.parts import parts_of
from ensembudget.planning.plan import plan
from ensembudget.planning.scored import scored_notes
from ensembudget.records import Stepping, Study
from ensembudget.store import Store
from ensembudget.store.half import as_kept
from ensembudget.training.loop import train
from ensembudget.verbs.analyse import analyse
from ensembudget.verbs.bundle import bundle, results_of_bundle
from ensembudget.verbs.choose import choose_export
from ensembudget.verbs.compare import compare_results
from ensembudget.verbs.evaluate import evaluate
from ensembudget.verbs.predictions import read_logits
from ensembudget.verbs.report import report
from ensembudget.verbs.verify import verify
from helpers import command
from sequences import TASK, arrays_of, family

STUDY = Study(
    name="tokens", description="blocks of tokens", family="bigram", dataset="digits", budgets=["400"],
    members=[1, 2], tolerance=0.5, pool=3, replicates=1, validation_size=20, scored_positions=150,
    recipe={"epochs": 3, "batch_size": 16, "learning_rate": 0.5, "weight_decay": 0.0},
)  # fmt: skip


@pytest.fixture
def trained(plug_in, cache, tmp_path):
    """The data, the plan and a store with all of its members."""
    plug_in("families", "bigram", family=family)
    arrays = arrays_of()
    data = Data("blocks", digest_of(arrays), arrays)
    keep(data, "0" * 64)
    made = plan(STUDY, TASK, digest=data.digest, dataset="blocks", train_samples=120)
    made = made.model_copy(update={"notes": scored_notes(STUDY, TASK, arrays)})
    store = Store(tmp_path / "store")
    store.save_plan(made)
    for pool in made.pools:
        job = Job(runs=pool.runs, store=str(store.root), device="cpu", threads=1,
                  stepping=Stepping(pack=len(pool.runs)), keep_weights=False)  # fmt: skip
        assert {one.status for one in work(job, lambda epoch: None)} == {"done"}
    return data, made, store


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_members_keep_what_they_answered_and_which_samples_that_is_of(trained):
    data, made, store = trained
    cell = made.cells[0].cell
    asked = parts_of(cell, data.arrays).test
    assert len(asked.labels) == 150
    found = store.read(made.cells[0].runs[0].key)
    np.testing.assert_array_equal(found.test_samples, asked.samples)
    np.testing.assert_array_equal(found.test_labels, asked.labels)
    again = train(made.cells[0].runs, data, stepping=Stepping(pack=3))[0]
    kept = as_kept(
        [(again.validation_logits, found.validation_labels), (again.test_logits, found.test_labels)]
    )
    np.testing.assert_array_equal(found.test_logits, kept[1].astype(np.float32))
    assert store.difference(again, found.member.environment) is None


def test_its_tables_have_perplexity_and_speak_of_tokens(trained, tmp_path):
    _, made, store = trained
    results = evaluate(made, store)
    report(analyse(results), tmp_path / "report")
    split = rows(tmp_path / "report/memory_split.csv")[0]
    scores = rows(tmp_path / "report/scores.csv")
    assert all(float(one["perplexity"]) == pytest.approx(np.exp(float(one["nll"]))) for one in scores)
    assert float(split["perplexity"]) > 1
    assert results.pools[0].scores.clusters.number == len(np.unique(results.pools[0].samples))
    text = (tmp_path / "report/memory_split.md").read_text()
    assert "perplexity" in text
    assert "image" not in text
    assert "100 training blocks" in text
    assert "150 test tokens" in text
    assert "Scores are of 150 of the" in text


def test_its_bundle_is_verified_and_packs_the_samples(trained, tmp_path):
    _, made, store = trained
    out = tmp_path / "report"
    bundle(made, store, out)
    found = verify(out)
    assert found.code() == 0, [*found.differences, *found.faults, found.refusal]
    mine, its = evaluate(made, store), results_of_bundle(out)
    for one, other in zip(mine.pools, its.pools, strict=True):
        assert one.scores.scores == other.scores.scores
        np.testing.assert_array_equal(one.samples, other.samples)
        assert [each.kept_in for each in one.stored] == [each.kept_in for each in other.stored]
    compared = compare_results(mine, its)
    assert all(cell.is_judged for cell in compared.cells)
    sizes = sum(path.stat().st_size for path in (out / "bundle/cells").iterdir())
    assert sizes < 2.6 * 6 * (150 + 110) * 12 + 4000  # two bytes a logit


def test_a_bundle_whose_samples_were_changed_is_found_out(trained, tmp_path):
    _, made, store = trained
    out = tmp_path / "report"
    bundle(made, store, out)
    index = json.loads((out / "bundle/index.json").read_bytes())["bundle"]
    name = next(iter(index["labels"].values()))["test_samples"]
    arrays = load_file(out / "bundle/labels.safetensors")
    arrays[name] = np.arange(150)
    save_file(arrays, out / "bundle/labels.safetensors")
    faults = read_bundle(out).faults
    assert any("labels" in one and "digest" in one for one in faults)
    assert any("logits or labels of member" in one for one in faults)
    with pytest.raises(BundleError, match="not as it was sealed"):
        results_of_bundle(out)
    assert verify(out).code() == 1
    arrays[name] = np.arange(149)
    save_file(arrays, out / "bundle/labels.safetensors")
    with pytest.raises(BundleError, match="labels of other samples than there are"):
        read_bundle(out)


def test_logits_of_tokens_from_elsewhere_are_scored_by_their_samples(trained, tmp_path):
    _, made, store = trained
    pool = evaluate(made, store).pools[0]
    path = tmp_path / "pool.safetensors"
    given = {"logits": pool.logits.numpy(), "labels": pool.labels.numpy(), "samples": pool.samples}
    save_file(given, path)
    assert torch.equal(read_logits(path).samples, torch.from_numpy(pool.samples))
    assert command("evaluate", "--logits", path, "--out", tmp_path / "out").code == 0
    found = rows(tmp_path / "out/scores.csv")
    for row, score in zip(found, pool.scores.scores, strict=True):
        assert float(row["cnll"]) == pytest.approx(score.cnll, abs=1e-12)
        assert float(row["perplexity"]) == pytest.approx(score.metrics["perplexity"], abs=1e-12)
    save_file({**given, "samples": pool.samples[:-1]}, path)
    said = command("evaluate", "--logits", path)
    assert said.code == 2
    assert "needed are integers, (150,)" in said.err


def test_a_kind_of_task_that_is_not_exported_is_refused_before_a_split_is_asked_for(trained, monkeypatch):
    made = trained[1].model_copy(update={"task": TASK._replace(kind="speech")})
    monkeypatch.setattr("ensembudget.verbs.choose.stored_plan", lambda study, store: made)
    with pytest.raises(ExportError, match=r"do speech, and only those of images, language_model, .* are exp"):
        choose_export(STUDY, trained[2], "1")  # there is no such budget


def test_tokens_without_a_tokenizer_are_not_exported(trained):
    data, made, _ = trained
    with pytest.raises(ExportError, match="dataset 'blocks' has tokens and no tokenizer"):
        INPUTS["language_model"].shipment(data, made.cells[0].cell.recipe, torch.zeros(0))


def test_results_of_other_blocks_are_refused_as_such(trained):
    _, made, store = trained
    one = evaluate(made, store)
    cells = [
        pool.model_copy(update={"cell": pool.cell.model_copy(update={"dataset_digest": "f" * 64})})
        for pool in made.cells
    ]
    other = dataclasses.replace(one, plan=made.model_copy(update={"cells": cells}))
    with pytest.raises(ComparisonError, match="their blocks or labels differ"):
        compare_results(one, other)


def test_learning_curves_of_blocks_are_not_said_to_be_of_images(trained, tmp_path):
    fields = STUDY.model_dump(mode="json", exclude_defaults=True)
    recipe = fields.pop("recipe")
    lines = [f"{name} = {json.dumps(value)}" for name, value in fields.items()]
    lines += ["[recipe]", *(f"{name} = {json.dumps(value)}" for name, value in recipe.items() if value)]
    (tmp_path / "tokens.toml").write_text("\n".join([*lines, "weight_decay = 0.0"]))
    said = command("curves", tmp_path / "tokens.toml", "--store", trained[2].root)
    assert said.code == 2
    assert "at least 2 numbers of training blocks to fit" in said.err


def test_perplexity_is_of_every_task_that_predicts_tokens_and_of_no_other():
    kinds = {name for name in TASKS if TASKS[name].positions}
    assert METRICS["perplexity"].tasks == kinds
