"""Integrity of the science: labels leak into nothing, copies and broken members are told, nothing is dropped.

Members are made up: what is attacked is what becomes of them after training.
"""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import helpers
from ensembudget.datasets._base import Arrays
from ensembudget.datasets._shared import shared_inputs, shared_note
from ensembudget.errors import ScoreError, StoreError, StudyError
from ensembudget.planning.plan import plan
from ensembudget.records import RecipeChoice, Run, Study
from ensembudget.scoring.calibration import Fold, cross_fitted_losses, halvings
from ensembudget.scoring.ensembles import score_pool
from ensembudget.scoring.mixing import group_matrix, groups, pooled
from ensembudget.scoring.tuning import above_lowest, judgement, ranking
from ensembudget.store import Store
from ensembudget.store.documents import canonical, sha256
from ensembudget.verbs.evaluate import evaluate
from ensembudget.verbs.plan import plan_study
from ensembudget.verbs.predictions import read_logits
from ensembudget.verbs.status import status
from scoring import oracle

SAMPLES, CLASSES = 120, 10
LABELS = np.arange(SAMPLES) % CLASSES
OLD = Path(__file__).parents[1] / "store"
STUDY = Study(
    name="whole",
    description="two widths",
    family="wide_resnet",
    options={"depth": 10},
    dataset="digits",
    train_size=100,
    budgets=[5178],
    members=[1, 2],
    tolerance=0.2,
    replicates=2,
    pool=4,
    recipe=RecipeChoice(epochs=2),
)
TOML = """
name = "whole"
description = "two widths"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 100
budgets = [5178]
members = [1, 2]
tolerance = 0.2
replicates = 2
pool = 4
[recipe]
epochs = 2
"""


def logits(run: Run) -> np.ndarray:
    rng = np.random.default_rng([run.cell.width, run.seed])
    return (2.5 * np.eye(CLASSES)[LABELS] + rng.normal(size=(SAMPLES, CLASSES))).astype(np.float32)


@pytest.fixture(scope="module")
def planned(digits):
    return plan(STUDY, digits.task, digest=digits.digest, dataset="digits", train_samples=1000)


@pytest.fixture
def filled(tmp_path, planned):
    """`filled(change)` is a store whose members have the logits that `change(run, logits)` gives."""
    number = iter(range(1000))

    def fill(change=lambda run, own: own, *, labels=LABELS, diverged=(), lost=(), root=None) -> Store:
        store = Store(root or tmp_path / f"store{next(number)}")
        for run in planned.runs:
            if run.seed not in lost:
                at = 3 if run.seed in diverged else None
                own = change(run, logits(run)).astype(np.float32)
                helpers.publish(store, helpers.trained_as(run, own, diverged_at=at), labels)
        store.save_plan(planned)
        return store

    return fill


# Calibration: labels that a number is scored on.


def test_no_label_that_a_fold_scores_changes_the_temperature_that_it_is_scored_at(times, attacked):
    """Fold by fold: the labels of its scored half are permuted, and its temperatures stay, to the bit."""
    cases = 0
    for seed in range(3 * times):
        rng = np.random.default_rng(seed)
        labels = torch.from_numpy(rng.integers(CLASSES, size=SAMPLES))
        pool = torch.from_numpy(rng.normal(size=(4, SAMPLES, CLASSES)) + 2 * np.eye(CLASSES)[labels.numpy()])
        matrix = group_matrix(4, [group for size in (1, 2, 4) for group in groups(4, size)])
        folds, averages = halvings(SAMPLES), pooled(pool, matrix)
        for kind in ((averages, None), (pool, matrix)):  # after averaging, and before
            losses, temperatures = cross_fitted_losses(kind[0], labels, folds, kind[1])
            for number, fold in enumerate(folds):
                changed = labels.clone()
                changed[fold.score] = labels[rng.permutation(fold.score)]
                assert not torch.equal(changed, labels)
                again, others = cross_fitted_losses(kind[0], changed, folds, kind[1])
                assert torch.equal(others[:, number], temperatures[:, number])
                assert not torch.equal(again, losses)  # the score itself must follow its labels
                # And the other way round: what it was fitted on decides.
                assert not torch.equal(others[:, number ^ 1], temperatures[:, number ^ 1])
                cases += 1
    attacked("P12", "labels that a fold scores are permuted: its temperature stays, after and before", cases)


def test_folds_that_share_or_lack_samples_are_refused(attacked):
    three = torch.randn(2, 4, 3), torch.tensor([0, 1, 2, 0])
    index = np.array
    wrong = [
        lambda: Fold(index([0, 1]), index([1, 2])),
        lambda: Fold(index([0, 0]), index([1])),
        lambda: Fold(index([0]), index([2, 2])),
        lambda: Fold(index([-1]), index([3])),
        lambda: Fold(index([0]), index([-2])),
        lambda: Fold(index([], np.int64), index([1])),
        lambda: Fold(index([0]), index([], np.int64)),
        lambda: cross_fitted_losses(*three, [Fold(index([0]), index([1, 2]))]),
        lambda: cross_fitted_losses(*three, [Fold(index([9]), index([0, 1, 2, 3]))]),
        lambda: cross_fitted_losses(*three, [Fold(index([0]), index([1, 2, 3, 4]))]),
    ]
    for make in wrong:
        with pytest.raises(ScoreError):
            make()
    attacked("P12", "folds that overlap, repeat, miss or invent samples", len(wrong))


# Selection and inclusion.


def test_permuted_test_labels_change_scores_and_no_member_group_or_width(filled, planned, times, attacked):
    store = filled()
    before = evaluate(planned, store)
    for seed in range(4 * times):
        other = filled(labels=np.random.default_rng(seed).permutation(LABELS))
        after = evaluate(planned, other)
        for one, two in zip(before.pools, after.pools, strict=True):
            keys = [[member.member.run.key for member in pool.trained] for pool in (one, two)]
            assert keys[0] == keys[1]
            assert [(s.members, s.replicate) for s in one.scores.scores] == [
                (s.members, s.replicate) for s in two.scores.scores
            ]
            assert one.planned == two.planned
            assert one.scores.mean(1, "cnll") != two.scores.mean(1, "cnll")
        assert [(s.done, s.diverged) for s in status(planned, other)] == [(4, 0)] * len(planned.pools)
    attacked("P12", "test labels are permuted: members, groups and widths stay", 4 * times)


def test_tuning_reads_no_test_label(filled, planned, times, attacked):
    """Recipes are chosen on validation images: the labels and logits of the test images change nothing."""
    store, cases = filled(), 0
    members = [store.read(run.key) for run in planned.runs]
    for seed in range(3 * times):
        rng = np.random.default_rng(seed)
        held = rng.integers(CLASSES, size=60)
        answers = [2 * np.eye(CLASSES)[held] + rng.normal(size=(60, CLASSES)) for _ in members]
        given = [
            replace(one, validation_labels=held, validation_logits=own.astype(np.float32))
            for one, own in zip(members, answers, strict=True)
        ]
        permuted = [
            replace(one, test_labels=rng.permutation(LABELS), test_logits=-one.test_logits) for one in given
        ]
        found = [
            {place: judgement(some[2 * place : 2 * place + 2]) for place in range(4)}
            for some in (given, permuted)
        ]
        assert ranking(found[0], None) == ranking(found[1], None)
        assert above_lowest(found[0]) == above_lowest(found[1])
        turned = [replace(one, validation_labels=(held + 1) % CLASSES) for one in given[:2]]
        assert judgement(turned).cnll != found[0][0].cnll  # it does read those of the validation images
        cases += 1
    attacked("P12", "test labels and logits are permuted: the chosen recipe stays", cases)


# Copies.

COPIES = {
    "equal": lambda own: own,
    "another number type": lambda own: own.astype(np.float16),
    "scaled by a millionth": lambda own: own * (1 + 1e-6),
    "a constant added": lambda own: own + 3,
    "a constant added to every sample": lambda own: own + np.arange(SAMPLES)[:, None] / 50,
    "a little noise": lambda own: own + 1e-4 * np.random.default_rng(0).normal(size=own.shape),
}


def test_copies_of_a_member_are_refused_under_other_seeds(filled, planned, tmp_path, attacked):
    first = {pool.cell.width: logits(pool.runs[0]) for pool in planned.pools}
    for name, change in COPIES.items():
        store = filled(lambda run, own, c=change: c(first[run.cell.width]) if run.seed == 2 else own)
        with pytest.raises(ScoreError, match=r"members 0 and 2 of width 3 .*copies"):
            evaluate(planned, store)
        members = np.stack([first[3], logits(planned.runs[1]), change(first[3])]).astype(np.float32)
        path = tmp_path / f"{name.replace(' ', '_')}.npz"
        np.savez(path, logits=members, labels=LABELS)
        with pytest.raises(ScoreError, match="members 0 and 2"):
            read_logits(path)
    evaluate(planned, filled())  # members of their own are none
    attacked("P9", "copies of members under other seeds, equal or nearly", 2 * len(COPIES))


# Members that cannot be averaged.


def broken(place, value):
    def change(run, own):
        if run.seed == 1:
            own = own.copy()
            own[place] = value
        return own

    return change


def test_members_that_say_done_and_are_not_finite_are_refused_by_name(filled, planned, folder, attacked):
    (folder / "whole.toml").write_text(TOML)
    cases = [
        broken((slice(None), slice(None)), np.nan), broken((3, 2), np.nan), broken((0, 0), np.inf),
        broken((SAMPLES - 1, CLASSES - 1), -np.inf), broken((slice(40, 60), slice(None)), np.nan),
    ]  # fmt: skip
    for number, change in enumerate(cases):
        store = filled(change, root=folder / f"store{number}")
        with pytest.raises(ScoreError, match=r"member 1 of width 3 .*not marked as diverged"):
            evaluate(planned, store)
        said = helpers.command("report", "whole.toml", "--store", store.root)
        assert (said.code, "Traceback" in said.err) == (2, False)
        assert "member 1 of width 3" in said.err
    other = filled(lambda run, own: own[:50] if run.seed == 1 else own)
    with pytest.raises(ScoreError, match=r"shape \(50, 10\)"):
        evaluate(planned, other)
    attacked("P9", "members marked done with numbers that are not finite, or of other images", len(cases) + 1)


def test_a_diverged_member_is_counted_everywhere_and_averaged_nowhere(filled, planned, folder, attacked):
    (folder / "whole.toml").write_text(TOML)
    cases = 0
    for diverged in ((1,), (0, 3), (0, 1, 2, 3)):
        store = filled(lambda run, own, d=diverged: own * np.nan if run.seed in d else own, diverged=diverged)
        results = evaluate(planned, store)
        for pool in results.pools:
            left = [logits(run) for run in pool.planned.runs if run.seed not in diverged]
            assert (pool.diverged, len(pool.trained), pool.missing) == (len(diverged), len(left), 0)
            if left:
                alone = score_pool(np.stack(left), LABELS)
                assert [one.metrics for one in alone.scores] == [one.metrics for one in pool.scores.scores]
            else:
                assert pool.scores is None
        assert {row.diverged for row in status(planned, store)} == {len(diverged)}
        out = folder / f"out{len(diverged)}"
        said = helpers.command("report", "whole.toml", "--store", store.root, "--out", out)
        assert (said.code, said.err) == (0, "")
        kept = json.loads((out / "manifest.json").read_text())
        assert len(kept["exclusions"]["diverged"]) == 2 * len(diverged)
        assert f"{2 * len(diverged)} diverged" in (out / "memory_split.md").read_text()
        cases += 1
    attacked("P9", "members that diverged: counted in status, tables and manifest, averaged nowhere", cases)


@pytest.mark.slow
def test_no_report_of_missing_members_is_without_its_mark(filled, folder, attacked):
    """Refused with 3; where it is allowed, every file says that it is partial."""
    (folder / "whole.toml").write_text(TOML)
    cases = 0
    for lost in ((1,), (0, 2)):
        store = filled(lost=lost)
        for verb in (["report"], ["compare", "whole.toml"]):
            said = helpers.command(*verb, "whole.toml", "--store", store.root)
            assert said.code == 3, said
            assert not list(folder.glob("report/*"))
        out = folder / f"out{cases}"
        asked = ("report", "whole.toml", "--store", store.root, "--allow-partial", "--out", out)
        assert helpers.command(*asked).code == 0
        for path in sorted(out.iterdir()):
            if path.suffix in (".csv", ".md", ".tex", ".html", ".svg"):
                assert "PARTIAL" in path.read_text(), path.name
            if path.suffix == ".csv":
                header, *lines = path.read_text().splitlines()
                assert header.split(",")[-1] == "partial"
                assert all(line.endswith(",PARTIAL") for line in lines)
        assert "PARTIAL" in (out / "manifest.json").read_text()
        cases += 1
    for kind in ("csv", "json"):
        assert "PARTIAL" in helpers.command(*asked, "--format", kind).out
    assert {path.name for path in out.glob("*.svg")}
    whole = folder / "whole"
    helpers.command("report", "whole.toml", "--store", filled().root, "--out", whole)
    assert not [path for path in whole.iterdir() if b"PARTIAL" in path.read_bytes()]
    attacked("P9", "members are missing: exit 3, or every file of the report says PARTIAL", cases)


# An evaluator of its own, and stores of other versions.


def test_every_size_and_ensemble_is_what_the_slow_evaluator_says(times, attacked):
    cases = 0
    for seed in range(2 * times):
        rng = np.random.default_rng([5, seed])
        labels = rng.integers(3, size=60)
        pool = 1.5 * rng.normal(size=(5, 60, 3)) + np.eye(3)[labels]
        expected = oracle.score_pool(pool, labels)
        for one in score_pool(pool, labels).scores:
            wanted = expected[one.members, one.replicate]
            for name in ("accuracy", "nll", "brier", "cnll", "cnll_before", "temperature"):
                if wanted[name] is not None:
                    found = one.metrics[name] if name in one.metrics else getattr(one, name)
                    assert found == pytest.approx(wanted[name], rel=1e-6), name
            cases += 1
    attacked("P13", "ensembles of every size against an evaluator written apart", cases)


def test_frozen_stores_are_read_and_newer_ones_left_alone(tmp_path, attacked):
    shutil.copytree(OLD / "format1", tmp_path / "store")
    expected = json.loads((OLD / "expected_of_format1.json").read_text())
    store, cases = Store(tmp_path / "store"), 0
    for key, facts in expected.items():
        found = store.read(key)
        assert found.digest == facts["digest"]
        for name, digest in facts["arrays"].items():
            assert hashlib.sha256(getattr(found, name).tobytes()).hexdigest() == digest
        cases += 1
    for key in expected:
        path = store.root / "members" / key[:2] / key / "member.json"
        document = json.loads(path.read_bytes())
        document.pop("sha256")
        document["format"] = 99
        newer = json.dumps(document | {"sha256": sha256(canonical(document))}).encode()
        path.write_bytes(newer)
        with pytest.raises(StoreError, match="newer version"):
            store.read(key)
        assert path.read_bytes() == newer
        cases += 1
    (store.root / "store.json").write_text('{"format": 99}')
    with pytest.raises(StoreError, match="format 99"):
        Store(store.root)
    attacked("P14", "members and stores of format 1, and the same called newer", cases + 1)


# Budgets and images.


def test_a_split_far_from_its_budget_is_flagged_and_refused_unless_asked(planned, digits, folder, attacked):
    def study(tolerance, budget):
        own = STUDY.model_copy(update={"tolerance": tolerance, "budgets": [budget], "members": [1]})
        return plan(own, digits.task, digest=digits.digest, dataset="digits", train_samples=1000)

    cases, how = 0, ("--family", "wide_resnet", "--depth", "10", "--dataset", "digits", "--members", "1")
    for budget in range(4000, 9000, 500):
        said = helpers.command("plan", *how, "--budget", budget, "--format", "json")
        (off,) = [abs(row["error_percent"]) for row in json.loads(said.out)]
        assert ("more than 5%" in said.err) == (off > 5), said.err
        table = helpers.command("plan", *how, "--budget", budget).out
        assert ("more than 1% off their budget" in table) == (off > 1)
        if off > 5:
            with pytest.raises(StudyError, match=r"misses the budget by .*the tolerance of 5%"):
                study(0.05, budget)
        assert study(off / 100 + 1e-6 if off > 5 else 0.05, budget).splits
        cases += 1
    attacked("P13", "budgets that no whole width spends: told above 1%, refused above 5% unless asked", cases)


def test_test_images_that_are_training_images_are_told_with_every_result(folder, times, attacked):
    for seed in range(20 * times):
        rng = np.random.default_rng(seed)
        images = rng.integers(0, 3, size=(30, 2, 2, 1), dtype=np.uint8)
        labels = np.arange(30) % 2
        train, test = images[:18], images[18:]
        by_hand = sum(any(np.array_equal(one, other) for other in train) for one in test)
        arrays = Arrays(train, labels[:18], test, labels[18:], 2)
        assert shared_inputs(arrays) == by_hand
        assert bool(shared_note(arrays)) == (by_hand > 0)
        assert not by_hand or f"{by_hand} of 12 test images" in shared_note(arrays)[0]
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for label in ("bird", "cat"):
            for number in range(6):
                path = folder / "photos" / part / label / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 255, size=(8, 8), dtype=np.uint8)).save(path)
    shutil.copyfile(folder / "photos/train/cat/1.png", folder / "photos/test/bird/3.png")
    own = {"dataset": "folder:photos", "train_size": None}
    (said,) = plan_study(STUDY.model_copy(update=own)).notes
    assert said.startswith("SHARED IMAGES: 1 of 12 test images")
    attacked(
        "P12", "training images among the test images: counted, and told with every result", 20 * times + 1
    )
