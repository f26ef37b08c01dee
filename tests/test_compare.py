"""Two result sets side by side, out of made-up members: what is matched, paired, told apart and refused."""

import csv
import io
import json

import numpy as np
import pytest

import helpers
from ensembudget import compare_results, evaluate
from ensembudget.analysis.two_results import Pairing
from ensembudget.datasets._data import Data
from ensembudget.errors import ComparisonError
from ensembudget.planning.plan import plan
from ensembudget.records import RecipeChoice, Study
from ensembudget.scoring.comparison import Verdict
from ensembudget.scoring.ensembles import score_pool
from ensembudget.store import Store
from ensembudget.tables.comparison import conclusion, notes, table

SAMPLES = 200
LABELS = np.arange(SAMPLES) % 10
SEEN = np.random.default_rng(0).normal(size=(SAMPLES, 12))
STUDY = """
name = "pair"
description = "two widths"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 100
budgets = [5178, 11338]
members = [1, 2]
tolerance = 0.2
replicates = 2
pool = 4

[recipe]
epochs = 2
"""


def study(**changes) -> Study:
    fields = {
        "name": "pair", "description": "two widths", "family": "wide_resnet", "options": {"depth": 10},
        "dataset": "digits", "train_size": 100, "budgets": [5178, 11338], "members": [1, 2], "tolerance": 0.2,
        "replicates": 2, "pool": 4, "recipe": RecipeChoice(epochs=2),
    }  # fmt: skip
    return Study(**fields | changes)


@pytest.fixture
def results(tmp_path, digits: Data):
    """`results(study, draw=1)` are the results of members drawn anew for every draw."""
    number = iter(range(100))

    def make(asked=None, *, draw=0, strength=2.5, labels=LABELS, classes=10, first_seed=0, noise=0.0,
             digest=digits.digest, lost=(), diverged=(), store=None, partial=False):  # fmt: skip
        task = digits.task._replace(classes=classes)
        planned = plan(asked or study(), task, digest=digest, dataset="digits", train_samples=1000)
        cells = [one.model_copy(update={"first_seed": first_seed}) for one in planned.cells]
        planned = planned.model_copy(update={"cells": cells})
        store = Store(store or tmp_path / f"store{next(number)}")
        for run in planned.runs:
            if run.seed in lost:
                continue
            rng = np.random.default_rng([draw, run.cell.width, run.seed])
            own = SEEN[:, :classes] + 0.7 * rng.normal(size=(SAMPLES, classes))
            logits = strength * np.eye(classes)[labels] + own
            logits += noise * np.random.default_rng([9, run.cell.width, run.seed]).normal(size=logits.shape)
            if run.seed in diverged:
                logits = np.full_like(logits, np.nan)
            at = 3 if run.seed in diverged else None
            helpers.publish(store, helpers.trained_as(run, logits.astype(np.float32), diverged_at=at), labels)
        return evaluate(planned, store, allow_partial=partial)

    return make


def test_results_do_not_differ_from_themselves(results):
    one = results()
    found = compare_results(one, one)
    assert len(found.cells) == 4
    assert found.is_same
    assert not found.differing
    assert not found.fields
    for cell in found.cells:
        assert cell.pairing == Pairing.SAME
        assert {(d.value, d.low, d.high) for d in cell.differences.values()} == {(0.0, 0.0, 0.0)}
    assert conclusion(found) == "A and B have the same members in 4 cells: every difference is zero."


def test_other_members_of_equal_quality_are_no_difference(results):
    found = compare_results(results(), results(first_seed=50))
    assert [cell.pairing for cell in found.cells] == [Pairing.INDEPENDENT] * 4
    assert not found.differing
    assert conclusion(found) == "No difference in 4 cells: every interval holds zero."


def test_values_and_differences_are_those_of_the_pools_scored_apart(results):
    a, b = results(), results(draw=1, first_seed=50, strength=2.2)
    for cell in compare_results(a, b).cells:
        means = []
        for side in (cell.a, cell.b):
            alone = score_pool(side.pool.logits, side.pool.labels)
            means.append({name: alone.mean(cell.place.members, name) for name in ("accuracy", "nll", "cnll")})
            for name, value in means[-1].items():
                assert side.values[name].value == pytest.approx(value, rel=1e-12)
        for name, difference in cell.differences.items():
            assert difference.value == pytest.approx(means[1][name] - means[0][name], abs=1e-12)


def test_worse_members_are_worse_and_better_ones_the_other_way_round(results):
    a, b = results(), results(draw=1, first_seed=50, strength=1.0)
    worse, better = compare_results(a, b), compare_results(b, a)
    assert {cell.verdicts["cnll"] for cell in worse.cells} == {Verdict.WORSE}
    assert {cell.verdicts["accuracy"] for cell in worse.cells} == {Verdict.WORSE}
    assert {cell.verdicts["cnll"] for cell in better.cells} == {Verdict.BETTER}
    assert {cell.verdicts["accuracy"] for cell in better.cells} == {Verdict.BETTER}
    for one, other in zip(worse.cells, better.cells, strict=True):
        assert one.differences["cnll"].low == pytest.approx(-other.differences["cnll"].high, rel=1e-6)
    assert "A and B differ in 4 of 4 cells" in conclusion(worse)


def test_the_same_runs_trained_twice_are_paired_and_known_better(results):
    a, again = results(), results(noise=0.02)
    paired = compare_results(a, again)
    assert {cell.pairing for cell in paired.cells} == {Pairing.PAIRED}
    apart = compare_results(a, results(first_seed=50))
    reach = [
        max(cell.differences["cnll"].high - cell.differences["cnll"].value for cell in found.cells)
        for found in (paired, apart)
    ]
    assert reach[0] < reach[1] / 4


def test_pools_that_share_some_members_count_as_independent(results):
    found = compare_results(results(), results(first_seed=2))
    assert {cell.pairing for cell in found.cells} == {Pairing.SOME}
    assert all(cell.differences["cnll"].high > cell.differences["cnll"].low for cell in found.cells)


def test_cells_of_one_side_alone_are_listed_and_the_others_compared(results):
    found = compare_results(results(), results(study(budgets=[5178], members=[1, 2, 4]), first_seed=50))
    assert [cell.place.words for cell in found.cells] == [
        "5,178 parameters, n = 1", "5,178 parameters, n = 2",
    ]  # fmt: skip
    assert {(one.side, one.place.words) for one in found.unmatched} == {
        ("A", "11,338 parameters, n = 1"), ("A", "11,338 parameters, n = 2"),
        ("B", "5,178 parameters, n = 4"),
    }  # fmt: skip
    (said,) = [line for line in notes(found) if line.startswith("Not compared")]
    assert "A at 11,338 parameters, n = 1 (not in B)" in said


def test_pools_without_a_budget_are_found_by_their_width(results):
    asked = study(budgets=[], members=[1, 2], widths=[3, 4])
    found = compare_results(results(asked), results(asked, first_seed=50))
    assert [cell.place.words for cell in found.cells] == [
        "width 3, n = 1", "width 3, n = 2", "width 4, n = 1", "width 4, n = 2",
    ]  # fmt: skip


def test_a_pool_too_small_for_an_ensemble_is_told_and_not_compared(results):
    asked = study(members=[1, 4], replicates=1)
    found = compare_results(results(asked), results(asked, first_seed=50, lost=(53,), partial=True))
    assert {cell.place.members for cell in found.cells} == {1}
    assert {(one.side, one.why) for one in found.unmatched} == {
        ("A", "of the members that can be averaged B has 3")
    }
    assert any(line.startswith("PARTIAL: B lacks") for line in notes(found))


def test_diverged_members_are_counted(results):
    found = compare_results(results(), results(first_seed=50, diverged=(51,)))
    assert any("members of B have diverged" in line for line in notes(found))
    assert len(found.cells) == 4


def test_what_the_studies_differ_in_is_listed(results):
    found = compare_results(
        results(), results(study(recipe=RecipeChoice(epochs=3), pool=6, description="another"), first_seed=50)
    )
    assert {(one.name, one.a, one.b) for one in found.fields} == {
        ("recipe.epochs", "2", "3"), ("pool", "4", "6"),
    }  # fmt: skip
    (said,) = [line for line in notes(found) if line.startswith("They differ in")]
    assert "recipe.epochs (2 in A, 3 in B)" in said


# Refusals.


def refused(a, b) -> str:
    with pytest.raises(ComparisonError) as caught:
        compare_results(a, b)
    return str(caught.value)


def test_other_images_are_refused_with_both_digests(results, digits):
    said = refused(results(), results(digest="f" * 64))
    assert "their images or labels differ" in said
    assert digits.digest[:12] in said
    assert "f" * 12 in said


def test_other_labels_are_refused_with_the_first_that_differs(results):
    changed = LABELS.copy()
    changed[17] = (changed[17] + 1) % 10
    said = refused(results(), results(labels=changed))
    assert "1 of 200 test labels differ, first that of image 17: 7 in A and 8 in B" in said
    assert "another order" not in said


def test_another_order_of_the_same_labels_is_refused_as_that(results):
    assert "(the same labels in another order)" in refused(results(), results(labels=np.roll(LABELS, 1)))


def test_other_classes_are_refused(results):
    assert "A has 10 classes and B 12" in refused(results(), results(classes=12))


def test_studies_without_a_common_cell_are_refused_with_what_each_has(results):
    said = refused(results(), results(study(budgets=[20000], members=[1, 4])))
    assert "share no cell" in said
    assert "5,178 parameters, n = 1" in said
    assert "20,000 parameters, n = 1" in said


def test_pools_of_one_member_are_refused_for_they_judge_nothing(results):
    asked = study(members=[1], replicates=1, pool=1)
    assert "every pool has one member" in refused(results(asked), results(asked, first_seed=50))
    one = results(asked)
    assert compare_results(one, one).is_same  # equal members need no judge


def test_results_without_a_member_that_can_be_averaged_are_refused(results):
    assert "all have diverged" in refused(results(), results(diverged=range(4)))


# The table and the command.


def test_the_table_has_every_interval_in_its_csv(results):
    found = compare_results(results(), results(draw=1, first_seed=50))
    rows = table.rows(found)
    assert [row["members"] for row in rows] == [1, 2, 1, 2]
    for row, cell in zip(rows, found.cells, strict=True):
        for name in ("cnll", "nll", "accuracy"):
            ends = tuple(row[f"{name}_difference{end}"] for end in ("", "_low", "_high"))
            one = cell.differences[name]
            assert ends == (one.value, one.low, one.high)
            assert row[f"{name}_a"] == cell.a.values[name].value


@pytest.fixture
def place(folder, results, digits):
    """A folder with a study, and stores `one`, `two` (other seeds' draws) and `worse` of it."""
    (folder / "pair.toml").write_text(STUDY)
    for name, how in (("one", {}), ("two", {"draw": 1}), ("worse", {"draw": 2, "strength": 0.8})):
        results(study(), store=folder / name, **how)
    return folder


def test_the_command_says_by_its_exit_code_whether_there_is_a_difference(place, command):
    same = command("compare", "pair.toml", "pair.toml", "--store", "one")
    assert (same.code, same.err) == (0, "")
    assert "same members in 4 cells" in same.out
    tie = command("compare", "pair.toml", "pair.toml", "--store", "one", "--store-b", "two")
    assert tie.code == 0
    assert "No difference in 4 cells" in tie.out
    worse = command("compare", "pair.toml", "pair.toml", "--store", "one", "--store-b", "worse")
    assert worse.code == 1
    assert "A and B differ in 4 of 4 cells" in worse.out


def test_the_command_writes_and_prints_every_format(place, command):
    asked = ["compare", "pair.toml", "pair.toml", "--store", "one", "--store-b", "worse"]
    found = command(*asked, "--format", "csv", "--out", "out")
    assert found.code == 1
    assert (place / "out" / "comparison.csv").read_text() == found.out
    rows = list(csv.DictReader(io.StringIO(found.out)))
    assert {row["cnll_verdict"] for row in rows} == {"worse"}
    written = (place / "out" / "comparison.md").read_text()
    assert "differ in 4 of 4" in written
    assert "A is 12 members of study pair on digits; B is 12 members of study pair on digits." in written
    written = {path.name for path in (place / "out").iterdir()}
    assert written == {f"comparison.{kind}" for kind in ("csv", "md", "tex", "html")}
    document = json.loads(command(*asked, "--format", "json").out)
    assert set(document) == {"comparison", "fields", "unmatched"}
    assert len(document["comparison"]) == 4


def test_missing_members_end_with_3_and_are_marked_where_they_are_allowed(place, command):
    for path in sorted((place / "two" / "members").glob("*/*"))[:1]:
        path.rename(place / path.name)
    asked = ["compare", "pair.toml", "pair.toml", "--store", "one", "--store-b", "two"]
    found = command(*asked)
    assert found.code == 3
    assert "lacks 1 of" in found.err
    allowed = command(*asked, "--allow-partial")
    assert allowed.code == 0
    assert "PARTIAL: B lacks 1" in allowed.out


def test_wrong_requests_end_with_2_and_no_traceback(place, command):
    for words, said in (
        (["nothing.toml", "pair.toml", "--store", "one"], "no study"),
        (["pair.toml", "pair.toml", "--store", "nowhere"], "no store"),
        (["pair.toml", "pair.toml", "--store", "one", "--store-b", "nowhere"], "no store"),
    ):
        found = command("compare", *words)
        assert found.code == 2
        assert said in found.err
        assert "Traceback" not in found.err
