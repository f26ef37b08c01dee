"""The table of arms against plain NumPy on the splits' losses, for pools whose quality is known."""

import functools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from ensembudget.analysis.arms import BestSplit
from ensembudget.planning.plan import plan
from ensembudget.records import Arm, RecipeChoice, Study
from ensembudget.rendering.render import from_csv, render
from ensembudget.scoring.pools import Results
from ensembudget.store import Store
from ensembudget.tables import arms, memory_split
from ensembudget.verbs.analyse import analyse
from ensembudget.verbs.evaluate import evaluate
from ensembudget.verbs.report import report
from helpers import publish, trained_as

SAMPLES = 300
LABELS = np.arange(SAMPLES) % 10
BUDGETS = {5178: {1: 4, 2: 3, 4: 2}, 11338: {1: 6, 2: 4, 4: 3}}  # of WRN-10: the width of each n
FIRST, OTHER, THIRD = "plain", "on the sphere, fixed", "third"

# How clear each width's members are: which n is best follows from it.
WIDE = {2: 0.3, 3: 0.6, 4: 1.6, 6: 2.7}  # one wide network is best
MANY = {2: 2.9, 3: 2.9, 4: 3.0, 6: 3.0}  # many members of nearly equal quality are
EVEN = {2: 1.9, 3: 2.3, 4: 2.9, 6: 3.0}  # no telling
KINDS = {
    "same": (MANY, MANY),
    "changed": (MANY, WIDE),
    "changed back": (WIDE, MANY),
    "even": (MANY, EVEN),
}


def logits(strength: float, seed: list[int]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shared = np.random.default_rng(0).normal(size=(SAMPLES, 10))
    noise = 0.5 * shared + rng.normal(size=(SAMPLES, 10))
    return (strength * np.eye(10)[LABELS] + noise).astype(np.float32)


def study(names=(FIRST, OTHER), **changes) -> Study:
    fields = {
        "name": "ways",
        "description": "two ways to train",
        "family": "wide_resnet",
        "options": {"depth": 10},
        "dataset": "digits",
        "train_size": 100,
        "budgets": list(BUDGETS),
        "members": [1, 2, 4],
        "tolerance": 0.2,
        "replicates": 1,
        "pool": 4,
        "arms": [
            Arm(name=name, recipe=RecipeChoice(learning_rate=0.1 + 0.1 * i)) for i, name in enumerate(names)
        ],
    }
    return Study(**fields | changes)


@pytest.fixture(scope="module")
def published(tmp_path_factory, digits):
    """`published(study, {arm: {width: strength}})` is a study's results; widths left out are missing."""

    def results(asked: Study, strengths, *, allow_partial=False) -> Results:
        planned = plan(asked, digits.task, digest=digits.digest, dataset="digits", train_samples=1000)
        store = Store(tmp_path_factory.mktemp("store"))
        for one in planned.cells:
            place = planned.settings.index(one.setting)
            for member in one.runs if one.cell.width in strengths.get(one.arm, {}) else ():
                seed = [1, place, one.cell.width, member.seed]
                scored = logits(strengths[one.arm][one.cell.width], seed)
                publish(store, trained_as(member, scored), LABELS)
        return evaluate(planned, store, allow_partial=allow_partial)

    return results


@pytest.fixture(scope="module")
def of_kind(published):
    """`of_kind(kind)` is the results of two arms of that kind."""
    return functools.cache(
        lambda kind: published(study(), dict(zip((FIRST, OTHER), KINDS[kind], strict=True)))
    )


def losses_of(results: Results, arm: str, budget: int):
    """By n, those of an arm at a budget."""
    its = [s for s in results.plan.splits if (s.arm, s.budget) == (arm, budget)]
    return {s.members: results.pool_of(s).split_losses(s.members) for s in its}


def best_of(its) -> int:
    return min(its, key=lambda n: its[n].losses.mean())


def interval_by_hand(one, other):
    """Of a difference: members by their errors, paired samples without what members do in them (Welch)."""
    each = one.losses - other.losses
    errors = [one.errors, other.errors]
    samples = each.var(ddof=1) / SAMPLES - sum(its.interaction for its in errors)
    parts = [*(its.cnll for its in errors), (max(samples, 0), SAMPLES - 1)]
    variance = sum(value for value, _ in parts)
    freedom = variance**2 / sum(value**2 / freedom for value, freedom in parts)
    return stats.t.interval(0.95, freedom, each.mean(), variance**0.5)


def same_best_by_hand(its, those, draws=4000) -> float:
    """How often two arms have the same best n when samples are drawn anew for both, members for each."""
    rng = np.random.default_rng(98)
    picks = rng.integers(SAMPLES, size=(draws, SAMPLES))
    lowest = []
    for found in (its, those):
        means = [one.losses[picks].mean(1) + one.errors.cnll.value**0.5 * rng.normal(size=draws)
                 for one in found.values()]  # fmt: skip
        lowest.append(np.array(list(found))[np.argmin(means, axis=0)])
    return float((lowest[0] == lowest[1]).mean())


def ends_of(row, name):
    return row[f"{name}_low"], row[name], row[f"{name}_high"]


def assert_difference(row, one, other):
    low, value, high = ends_of(row, "difference")
    assert value == pytest.approx(one.losses.mean() - other.losses.mean(), abs=1e-12)
    assert (low, high) == pytest.approx(interval_by_hand(one, other), abs=1e-9)


def assert_wider(row, name, one, other):
    """One of several differences, and from a split that was chosen: no narrower than it would be alone."""
    low, value, high = ends_of(row, name)
    assert value == pytest.approx(one.losses.mean() - other.losses.mean(), abs=1e-12)
    alone = interval_by_hand(one, other)
    assert 1 <= (high - low) / (alone[1] - alone[0]) < 1.7


@pytest.mark.parametrize("kind", KINDS)
def test_differences_and_splits_are_those_of_the_losses(kind, of_kind):
    results = of_kind(kind)
    analysis = analyse(results)
    rows = arms.table.rows(analysis)
    splits = {(row["arm"], row["budget"], row["members"]): row for row in memory_split.table.rows(analysis)}
    assert [(row["budget"], row["arm"]) for row in rows] == [(b, a) for b in BUDGETS for a in (FIRST, OTHER)]
    for head, row in zip(rows[::2], rows[1::2], strict=True):
        budget = row["budget"]
        its, those = (losses_of(results, arm, budget) for arm in (FIRST, OTHER))
        for one, found in ((head, its), (row, those)):
            best = best_of(found)
            assert (one["members"], one["width"]) == (best, BUDGETS[budget][best])
            assert one["cnll"] == pytest.approx(found[best].losses.mean(), abs=1e-12)
            if best == 1:
                assert one.get("advantage") is None
            else:
                assert_wider(one, "advantage", found[best], found[1])
                alike = splits[one["arm"], budget, best]
                assert ends_of(one, "advantage") == ends_of(alike, "difference")
        assert all(
            head.get(name) is None for name in ("difference", "verdict", "carried", "same_best", "split")
        )

        n, best = head["members"], row["members"]
        assert_difference(row, those[best], its[n])
        low, high = row["difference_low"], row["difference_high"]
        assert row["verdict"] == ("better" if high < 0 else "worse" if low > 0 else "tie")
        if n == best:
            assert row["split"] == "same"
            assert row.get("carried") is None
        else:
            assert_wider(row, "carried", those[n], those[best])
            assert row["carried"] > 0
            assert (splits[row["arm"], budget, n]["best"] == "worse") == (row["carried_low"] > 0)
            assert row["split"] == ("changed" if row["carried_low"] > 0 else "not told apart")
        assert row["same_best"] == pytest.approx(same_best_by_hand(its, those), abs=0.08)


def test_each_answer_is_given_where_it_must_be(of_kind):
    """Pools are made so that the best split is the same, another by far, and another by a little."""
    found = {
        kind: {row["budget"]: row for row in arms.table.rows(analyse(of_kind(kind))) if row["split"]}
        for kind in KINDS
    }
    assert [row["split"] for row in found["same"].values()] == ["same", "same"]
    assert [row["split"] for row in found["changed"].values()] == ["changed", "changed"]
    assert [row["split"] for row in found["changed back"].values()] == ["changed", "changed"]
    assert found["even"][5178]["split"] == "not told apart"
    assert [row["verdict"] for row in found["changed"].values()] == ["worse", "worse"]
    assert [row["verdict"] for row in found["changed back"].values()] == ["better", "better"]
    assert [row["verdict"] for row in found["same"].values()] == ["tie", "tie"]
    assert all(row["same_best"] > 0.5 for row in found["same"].values())
    assert all(row["same_best"] < 0.1 for row in found["changed"].values())


def test_a_study_with_one_arm_or_none_has_no_rows(published):
    assert arms.table.rows(analyse(published(study((FIRST,), budgets=[5178]), {FIRST: MANY}))) == []
    assert arms.table.rows(analyse(published(study((), budgets=[5178]), {"": MANY}))) == []


def test_a_verdict_is_a_sentence_a_budget_and_arm(published):
    results = published(
        study((FIRST, OTHER, THIRD), budgets=[11338]), {FIRST: MANY, OTHER: WIDE, THIRD: MANY}
    )
    analysis = analyse(results)
    rows, said = arms.table.rows(analysis), arms.notes(analysis)
    beside = [row for row in rows if row["arm"] != FIRST]
    assert len(said) == len(beside) == 2
    for sentence, row in zip(said, beside, strict=True):
        assert sentence.startswith(f"At {row['budget']:,} parameters")
        assert sentence.endswith(".")
        assert f"{OTHER if row is beside[0] else THIRD} (" in sentence
        assert f"n = {row['members']})" in sentence
        assert (
            f"{row['difference']:+.4f} [{row['difference_low']:+.4f}, {row['difference_high']:+.4f}]"
            in sentence
        )
        word = {"better": "better than", "worse": "worse than", "tie": "tie"}[row["verdict"]]
        assert [w for w in ("better than", "worse than", "tie") if w in sentence] == [word]
    # Three answers, three sentences: told apart, and in the words of no other.
    same, changed, unresolved = (
        arms.notes(replace(analysis, arms=(replace(one, against=replace(one.against, best_split=answer)),)))
        for one in analysis.arms[1:2]
        for answer in (BestSplit.SAME, BestSplit.CHANGED, BestSplit.UNRESOLVED)
    )
    assert len({*same, *changed, *unresolved}) == 3
    assert "cannot be told" in unresolved[0]
    assert "cannot be told" not in same[0] + changed[0]


def test_a_report_has_the_table_with_its_verdicts_and_renders_again(of_kind, tmp_path):
    analysis = analyse(of_kind("changed"))
    assert arms.table in report(analysis, tmp_path / "out")
    rows = arms.table.rows(analysis)
    notes = json.loads((tmp_path / "out" / "manifest.json").read_text())["notes"]["arms"]
    assert notes[:2] == arms.notes(analysis)
    found = from_csv((tmp_path / "out" / "arms.csv").read_text())
    for kind in ("md", "tex", "html"):
        path: Path = tmp_path / "out" / f"arms.{kind}"
        study = analysis.results.plan.study.name
        assert render(arms.table, found, kind, notes, study) == path.read_text()
    for row, one in zip(found, rows, strict=True):
        assert {name: value for name, value in row.items() if value is not None} == {
            name: pytest.approx(value) if isinstance(value, float) else value
            for name, value in one.items()
            if value is not None
        }
    assert not list((tmp_path / "out").glob("regimes*"))


# What is missing.


def test_an_arm_without_the_first_arms_n_says_so(published):
    """The pools of the narrowest width are not trained in the second arm, and n = 4 there needs them."""
    results = published(
        study(budgets=[5178]),
        {FIRST: MANY, OTHER: {3: MANY[3], 4: MANY[4]}},
        allow_partial=True,
    )
    first, other = arms.table.rows(analyse(results))
    assert first["members"] == 4
    assert other["members"] in (1, 2)
    assert other["split"] == "no split of n = 4"
    assert other.get("carried") is None
    assert other["difference"] is not None


def test_the_sentence_about_an_arm_without_the_first_arms_n_does_not_call_it_its_best_split(published):
    results = published(
        study(budgets=[5178]),
        {FIRST: MANY, OTHER: {3: MANY[3], 4: MANY[4]}},
        allow_partial=True,
    )
    (sentence,) = arms.notes(analyse(results))
    assert "n = 4" in sentence
    assert "its best split is no split" not in sentence.lower()


def test_an_arm_without_members_has_no_row(published):
    results = published(study(budgets=[5178]), {FIRST: MANY}, allow_partial=True)
    (row,) = arms.table.rows(analyse(results))
    assert row["arm"] == FIRST
    assert arms.notes(analyse(results)) == []


def test_where_the_first_arm_has_no_members_no_other_stands_in_for_it(published):
    """What says "first arm" in headings and sentences would be the second."""
    results = published(
        study((FIRST, OTHER, THIRD), budgets=[5178]), {OTHER: WIDE, THIRD: MANY}, allow_partial=True
    )
    rows = arms.table.rows(analyse(results))
    assert [row["arm"] for row in rows] == [OTHER, THIRD]
    assert all(row.get("difference") is None for row in rows)
    assert arms.notes(analyse(results)) == []


def test_an_arm_of_lone_members_is_not_judged(published):
    """Over test samples alone, intervals would be narrow and wrong."""
    asked = study(budgets=[5178], members=[1, 2], pool=1)
    results = published(asked, {FIRST: MANY, OTHER: WIDE})
    analysis = analyse(results)
    first, other = arms.table.rows(analysis)
    assert first["arm"] == FIRST
    assert (other["verdict"], other.get("same_best")) == ("not judged", None)
    assert other["difference"] is not None
    assert other.get("difference_low") is None
    (said,) = arms.notes(analysis)
    assert "not judged against" in said
    assert "None" not in said
    rows = memory_split.table.rows(analysis)
    assert {row["verdict"] for row in rows if row["members"] == 2} == {"not judged"}
    notes = " ".join(memory_split.notes(analysis))
    assert "n = 1 is not judged: a pool of one member" in notes
    assert "None" not in notes


def test_the_smallest_gap_that_a_budget_resolves_is_told_with_what_it_comes_from(of_kind):
    results = of_kind("same")
    analysis = analyse(results)
    rows, notes = memory_split.table.rows(analysis), memory_split.notes(analysis)
    for arm in (FIRST, OTHER):
        for budget in BUDGETS:
            found = losses_of(results, arm, budget)
            reaches = {
                row["members"]: (row["difference_high"] - row["difference_low"]) / 2
                for row in rows
                if (row["arm"], row["budget"]) == (arm, budget) and row["members"] > 1
            }
            n = min(reaches, key=lambda one: reaches[one])
            both = [found[n], found[1]]
            samples = np.var(found[n].losses - found[1].losses, ddof=1) / SAMPLES
            samples = max(samples - sum(one.errors.interaction for one in both), 0)
            share = samples / (samples + sum(one.errors.cnll.value for one in both))
            (said,) = [line for line in notes if f"{arm}: at {budget:,} " in line and "at best" in line]
            assert f" of {reaches[n]:.4f} nats at best" in said
            percent = int(said.split("at best: ")[1].split("%")[0])
            assert percent == pytest.approx(100 * share, abs=4)
