"""A bundle gives the numbers of its store, to the last digit, and says what it takes."""

import shutil

import numpy as np
import pytest
from bundles import LABELS, cells, manifest

from ensembudget.bundling.contents import read_bundle
from ensembudget.errors import BundleError, IncompleteError
from ensembudget.store import Store
from ensembudget.verbs.analyse import analyse
from ensembudget.verbs.bundle import bundle, results_of_bundle
from ensembudget.verbs.evaluate import evaluate
from ensembudget.verbs.report import report
from ensembudget.verbs.verify import verify
from helpers import publish, trained_as


def test_a_bundle_is_verified_and_says_what_cannot_be(sealed):
    found = verify(sealed)
    assert found.code() == 0, (found.refusal, found.differences, found.faults)
    assert found.cells > 100
    assert not found.differences
    assert [what for what, _ in found.unchecked] == ["manifest.json: code, scored_on, command"]


def test_a_bundle_scores_as_its_store_does(sealed, planned, store):
    mine, its = results_of_bundle(sealed), evaluate(planned, store)
    assert mine.plan == its.plan
    for pool, other in zip(mine.pools, its.pools, strict=True):
        assert [one.digest for one in pool.stored] == [one.digest for one in other.stored]
        assert (pool.scores is None) == (other.scores is None)
        if pool.scores is not None:
            assert pool.scores.losses.keys() == other.scores.losses.keys()
        for one, another in zip(pool.stored, other.stored, strict=True):
            assert np.array_equal(one.test_logits, another.test_logits)
            assert one.member == another.member


def test_the_report_of_a_bundle_is_that_of_its_store(sealed, planned, store, tmp_path):
    report(analyse(evaluate(planned, store)), tmp_path)
    for path in tmp_path.iterdir():
        if path.name not in ("manifest.json", "index.html"):
            assert path.read_bytes() == (sealed / path.name).read_bytes(), path.name


def test_the_manifest_says_where_the_logits_are(sealed, planned, store, tmp_path):
    assert manifest(sealed)["logits"] == "in bundle/, float32"
    assert "in bundle/, float32" in (sealed / "index.html").read_text()
    report(analyse(evaluate(planned, store)), tmp_path)
    assert manifest(tmp_path)["logits"] == "not published with this report"


def test_a_report_without_logits_is_not_recomputed(sealed, tmp_path):
    shutil.copytree(sealed, tmp_path / "bare")
    shutil.rmtree(tmp_path / "bare" / "bundle")
    found = verify(tmp_path / "bare")
    assert (found.code(), found.cells, found.faults) == (3, 0, ())
    assert not found.differences
    assert found.files > 3


def test_a_folder_with_other_files_is_refused_and_left_alone(planned, store, tmp_path):
    (tmp_path / "old.csv").write_text("a\n1\n")
    with pytest.raises(BundleError, match=r"'old\.csv'"):
        bundle(planned, store, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["old.csv"]


def test_a_study_file_beside_the_report_is_sealed_with_it(planned, store, tmp_path):
    (tmp_path / "study.toml").write_text("name = 'other'\n")
    bundle(planned, store, tmp_path)
    assert "study.toml" in read_bundle(tmp_path).index.files
    assert any(one.file == "study.toml" for one in verify(tmp_path).differences)


def test_missing_members_are_refused_and_marked_where_they_are_asked_for(planned, store, tmp_path):
    part = Store(tmp_path / "store")
    for run in planned.runs[:4]:
        stored = store.read(run.key)
        publish(part, trained_as(run, stored.test_logits), LABELS)
    with pytest.raises(IncompleteError):
        bundle(planned, part, tmp_path / "out")
    bundle(planned, part, tmp_path / "out", allow_partial=True)
    assert verify(tmp_path / "out").code() == 0
    assert "PARTIAL" in (tmp_path / "out" / "memory_split.md").read_text()


def test_float16_is_refused_where_a_printed_digit_changes(planned, store, tmp_path):
    with pytest.raises(BundleError, match=r"would change what .*\.md prints.*takes [0-9,]+ bytes"):
        bundle(planned, store, tmp_path / "out", float16=True)
    assert not list((tmp_path / "out").iterdir())


def test_float16_that_changes_no_digit_halves_the_logits_and_is_verified(planned, tmp_path):
    made = Store(tmp_path / "store")
    for number, run in enumerate(planned.runs):
        draws = np.random.default_rng(number)
        guess = np.where(draws.random(len(LABELS)) < 0.8, LABELS, draws.integers(0, 10, len(LABELS)))
        # One class is certain, so that logarithms of probabilities are these whole numbers.
        logits = np.where(np.eye(10)[guess] > 0, 0, -20 - draws.integers(0, 9, (len(LABELS), 10)))
        publish(made, trained_as(run, logits.astype(np.float32)), LABELS)
    small = bundle(planned, made, tmp_path / "small", float16=True)
    exact = bundle(planned, made, tmp_path / "exact")
    assert small.logits_bytes < 0.7 * exact.logits_bytes
    assert small.logits_bytes == sum(path.stat().st_size for path in cells(tmp_path / "small"))
    for path in (tmp_path / "exact").glob("*.md"):
        assert path.read_bytes() == (tmp_path / "small" / path.name).read_bytes()
    found = verify(tmp_path / "small")
    assert found.code() == 0
    assert any("rounded to float16" in why for _, why in found.unchecked)
