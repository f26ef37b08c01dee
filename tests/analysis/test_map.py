"""The map of a study with data sizes, subsets and tuning, from made-up members, against plain NumPy."""

import numpy as np
import pytest
from scipy import stats

from ensembudget.analysis.laws import Along
from ensembudget.analysis.tuning_share import Cells, NoShare
from ensembudget.catalog import FIGURES, TABLES
from ensembudget.figures._style import styled
from ensembudget.planning.plan import plan
from ensembudget.records import Arm, Plan, RecipeChoice, Setting, Study
from ensembudget.rendering.render import from_csv
from ensembudget.rendering.write import write_table
from ensembudget.scoring.comparison import Verdict
from ensembudget.scoring.crossings import Side
from ensembudget.store import Store
from ensembudget.tables import crossings, tuning_share
from ensembudget.verbs.analyse import analyse
from ensembudget.verbs.evaluate import evaluate
from helpers import publish, trained_as

SAMPLES, POOL = 150, 8
LABELS = np.arange(SAMPLES) % 10
SIZES = [100, 200, 400]
BUDGETS = {5178: {1: 4, 2: 3, 4: 2}, 11338: {1: 6, 2: 4, 4: 3}}  # of WRN-10: the width of each n
WIDE = {2: 0.6, 3: 1.0, 4: 1.9, 6: 2.9}  # how clear members are: here one wide network is best
MANY = {2: 2.7, 3: 2.7, 4: 2.8, 6: 2.8}  # and here many are


def make_study(**changes) -> Study:
    fields = {
        "name": "map",
        "description": "made up",
        "family": "wide_resnet",
        "options": {"depth": 10},
        "dataset": "digits",
        "train_size": SIZES,
        "budgets": list(BUDGETS),
        "members": [1, 2, 4],
        "tolerance": 0.2,
        "replicates": 1,
        "pool": POOL,
    }
    return Study(**fields | changes)


def logits(strength: float, seed: list[int]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shared = np.random.default_rng(0).normal(size=(SAMPLES, 10))
    noise = 0.5 * shared + rng.normal(size=(SAMPLES, 10))
    return (strength * (1 + 0.005 * rng.normal()) * np.eye(10)[LABELS] + noise).astype(np.float32)


@pytest.fixture(scope="module")
def make_analysis(tmp_path_factory, digits):
    """`make_analysis(study, strengths, change)`: strengths by setting and width; a changed plan."""

    def make(asked, strengths, change=lambda found: found):
        planned = change(plan(asked, digits.task, digest=digits.digest, dataset="digits", train_samples=1000))
        store, seen = Store(tmp_path_factory.mktemp("store")), set()
        for place, one in enumerate(planned.cells):
            for run in one.runs if one.cell.key not in seen else ():
                scored = logits(strengths(one.setting)[one.cell.width], [1, place, run.seed])
                publish(store, trained_as(run, scored), LABELS)
            seen.add(one.cell.key)
        return analyse(evaluate(planned, store))

    return make


@pytest.fixture(scope="module")
def sized(make_analysis):
    """A split wins at the two smaller data sizes, the wide network at the largest; two subsets."""
    return make_analysis(
        make_study(subsets=2), lambda setting: WIDE if setting.train_size == SIZES[-1] else MANY
    )


def as_tuned(found: Plan) -> Plan:
    """The arm `chosen` becomes the tuned side of `own`; at 400 images it trains the same networks."""

    def place(record):
        return record.model_copy(update={"arm": "", "tuned": record.arm == "chosen"})

    same = {p.cell.width: p.cell for p in found.cells if p.arm == "own" and p.train_size == SIZES[-1]}
    cells = [
        one.model_copy(update={"cell": same[one.cell.width]})
        if one.arm == "chosen" and one.train_size == SIZES[-1]
        else one
        for one in found.cells
    ]
    return found.model_copy(
        update={"cells": [place(one) for one in cells], "splits": [place(one) for one in found.splits]}
    )


ARMS = [Arm(name="own"), Arm(name="chosen", recipe=RecipeChoice(weight_decay=1e-2))]


@pytest.fixture(scope="module")
def tuned(make_analysis):
    """Tuning turns the sign at 100 and 200 images, either way, and chose the study's own values at 400."""

    def strengths(setting):
        return WIDE if (setting.train_size, setting.tuned) in ((SIZES[0], True), (SIZES[1], False)) else MANY

    return make_analysis(make_study(arms=ARMS), strengths, as_tuned)


# Advantages.


def test_there_is_an_advantage_for_every_budget_size_and_subset(sized):
    found = {(one.setting, one.budget.budget) for one in sized.advantages}
    assert found == {(Setting("", None, n, i), b) for n in SIZES for i in (0, 1) for b in BUDGETS}


def test_an_advantage_is_the_lowest_difference_and_holds_the_lowest_of_the_true_ones(sized):
    for one in sized.advantages:
        gaps = [s.score.compared.difference for s in one.budget.splits if s.split.members > 1]
        assert one.value.value == pytest.approx(min(s.score.cnll.value for s in one.rivals)
                                                - one.wide.score.cnll.value)  # fmt: skip
        assert one.value.low == min(gap.low for gap in gaps)
        assert one.value.high == min(gap.high for gap in gaps)
        assert one.verdict == (Verdict.WORSE if one.setting.train_size == 400 else Verdict.BETTER)


def test_a_split_is_said_to_win_where_some_difference_of_the_budget_is_better(sized, tuned):
    for one in (*sized.advantages, *tuned.advantages):
        verdicts = [s.score.compared.verdict for s in one.rivals]
        assert (one.verdict == Verdict.BETTER) == (Verdict.BETTER in verdicts)
        assert (one.verdict == Verdict.WORSE) == (set(verdicts) == {Verdict.WORSE})


def test_the_training_loss_is_that_of_the_pools(sized):
    assert {(one.least_loss, one.greatest_loss) for one in sized.advantages} == {(1.0, 1.0)}


def test_a_study_without_these_axes_has_no_map(make_analysis):
    found = make_analysis(make_study(train_size=100), lambda setting: MANY)
    assert (found.advantages, found.crossings, found.tuning, found.subsets) == ((), (), (), ())


def test_a_wide_network_of_one_member_is_compared_and_not_judged(make_analysis):
    found = make_analysis(make_study(train_size=SIZES[:2], budgets=[11338], pool=1), lambda setting: MANY)
    assert {one.verdict for one in found.advantages} == {Verdict.NOT_JUDGED}
    assert all((one.value.low, one.value.high) == (None, None) for one in found.advantages)
    assert found.crossings == ()
    assert "2 are not judged: a pool of one member" in TABLES["map"].notes(found)[0]
    *panels, _ = styled(FIGURES["map"], found).axes
    assert [text.get_text()[-1] for text in panels[0].texts][::2] == ["?"] * 2


# Crossings.


def test_the_sign_changes_between_the_sizes_where_it_does(sized):
    found = [one for one in sized.crossings if one.along == Along.TRAIN_SIZE]
    assert [(one.setting, one.budget) for one in found] == [
        (Setting(subset=i), budget) for budget in BUDGETS for i in (0, 1)
    ]
    for one in found:
        values = [a.value.value for a in one.line]
        assert (one.change.before, one.change.after) == (Side.BELOW, Side.ABOVE)
        expected = np.exp(np.interp(0, values[1:], np.log(SIZES[1:])))
        assert one.change.place == pytest.approx(expected, rel=1e-3)
        assert 200 < one.change.low < one.change.place < one.change.high < 400
        assert one.never < 0.01
        assert crossings.sentence(one).startswith(
            f"At {one.budget:,} parameters, subset {one.setting.subset}, a split wins up to about"
        )


def test_along_budget_no_sign_changes_where_one_side_wins_throughout(sized):
    found = [one for one in sized.crossings if one.along == Along.BUDGET]
    assert len(found) == len(SIZES) * 2
    for one in found:
        side = Side.ABOVE if one.setting.train_size == 400 else Side.BELOW
        assert (one.change.before, one.change.after, one.change.place) == (side, side, None)
        assert (one.budget, one.measured) == (None, list(BUDGETS))


# Tuning.


def test_tuning_takes_everything_where_it_turns_the_sign_and_nothing_where_pools_are_one(tuned):
    found = {(one.setting.train_size, one.untuned[0].budget.budget): one for one in tuned.tuning[:6]}
    assert set(found) == {(n, b) for n in SIZES for b in BUDGETS}
    for (size, _), one in found.items():
        gap = one.tuned[0].value.value - one.untuned[0].value.value
        assert one.difference.value == pytest.approx(gap)
        if size == SIZES[1]:
            assert (one.share, one.no_share) == (None, NoShare.WIDE_WINS)
            continue
        assert one.share.value == pytest.approx(1 - one.after.value / one.before.value)
        if size == SIZES[-1]:
            assert (one.difference.low, one.difference.high) == (0, 0)
            assert (one.share.low, one.share.high) == pytest.approx((0, 0), abs=1e-9)
        else:
            assert one.difference.low < gap < one.difference.high
        if size == SIZES[0]:
            assert one.share.low > 1


def test_over_all_cells_the_share_is_that_of_the_mean_advantages(tuned):
    every, won = tuned.tuning[6:]
    assert (every.cells, len(every.untuned)) == (Cells.ALL, 6)
    assert (won.cells, len(won.untuned)) == (Cells.WON_UNTUNED, 4)
    for one in (every, won):
        before, after = (np.mean([a.value.value for a in some]) for some in (one.untuned, one.tuned))
        assert one.difference.low < after - before < one.difference.high
    assert won.share.value == pytest.approx(1 - after / before)
    assert won.share.low < won.share.value < won.share.high
    assert len(tuning_share.table.notes(tuned)) == 2


def test_there_is_no_share_where_the_wide_network_wins_untuned(make_analysis):
    found = make_analysis(make_study(arms=ARMS, train_size=[100]), lambda setting: WIDE, as_tuned)
    assert all(one.share is None and one.no_share == NoShare.WIDE_WINS for one in found.tuning)
    assert "the wide network wins" in tuning_share.table.notes(found)[0]


# Subsets.


def test_means_over_subsets_are_students_over_the_subsets_own_means(sized):
    found = {(one.setting.train_size, one.splits[0].split.budget, one.splits[0].split.members): one
             for one in sized.subsets}  # fmt: skip
    assert len(found) == len(SIZES) * len(BUDGETS) * 3
    for (_, _, members), one in found.items():
        values = np.array([split.score.cnll.value for split in one.splits])
        expected = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
        assert (one.cnll.mean.low, one.cnll.mean.high) == pytest.approx(expected)
        assert (one.difference is None) == (members == 1)
        if one.difference:
            gaps = [split.score.compared.difference.value for split in one.splits]
            assert one.difference.mean.value == pytest.approx(np.mean(gaps))


# Laws.


def test_laws_along_data_size_are_of_independent_pools(sized):
    laws = [one for one in sized.laws if one.along == Along.TRAIN_SIZE]
    widths = {width for budget in BUDGETS.values() for width in budget.values()}
    assert {(one.setting, one.at) for one in laws} == {
        (Setting(subset=i), (width, n)) for i in (0, 1) for width in widths for n in (1, 2, 4)
    }
    for one in laws:
        assert one.points.m.tolist() == SIZES
        off = one.points.covariance - np.diag(np.diag(one.points.covariance))
        assert not off.any()


# Tables and the figure.


def rows_of(table, analysis, folder):
    """The lines of its CSV, with every other format written beside it."""
    write_table(folder, table, analysis)
    assert {path.suffix for path in folder.glob(f"{table.name}.*")} == {".csv", ".md", ".tex", ".html"}
    return from_csv((folder / f"{table.name}.csv").read_text())


def test_the_tables_say_what_was_found(sized, tuned, tmp_path):
    first, *others = rows_of(TABLES["map"], sized, tmp_path)
    assert len(others) == len(SIZES) * 2 * len(BUDGETS) - 1
    assert (first["train_size"], first["subset"], first["compared"]) == (100, 0, "2, 4")
    assert first["advantage_low"] < first["advantage"] < first["advantage_high"] < 0
    changes = rows_of(TABLES["crossings"], sized, tmp_path)
    assert {(row["along"], row["below"], row["above"]) for row in changes} == {
        ("train_size", "split", "wide"), ("budget", "split", "split"), ("budget", "wide", "wide")
    }  # fmt: skip
    assert len(rows_of(TABLES["subsets"], sized, tmp_path)) == len(sized.subsets)
    shares = rows_of(TABLES["tuning_share"], tuned, tmp_path)
    assert [row["cells"] for row in shares[-2:]] == ["all", "all where a split wins untuned"]
    assert (shares[-1]["budget"], shares[-2]["count"]) == (None, 6)


def test_a_table_without_its_axis_is_not_written(sized, tuned):
    assert not TABLES["tuning_share"].records(sized)
    assert not TABLES["subsets"].records(tuned)


def test_the_map_has_a_cell_for_every_advantage_and_a_panel_for_every_subset_or_tuning(sized, tuned):
    for analysis, titles in ((sized, ["subset 0", "subset 1"]), (tuned, ["untuned", "tuned"])):
        *panels, _ = styled(FIGURES["map"], analysis).axes  # the last is the scale of colours
        assert [one.get_title("left") for one in panels] == titles
        said = [text.get_text() for one in panels for text in one.texts]
        for one in analysis.advantages:
            assert f"{one.value.value:+.3f}" in said
        assert sum("★" in text for text in said) == sum(
            one.verdict != Verdict.TIE for one in analysis.advantages
        )


def test_the_notes_count_the_cells_and_name_the_largest_advantage(sized):
    said, edge, *_ = TABLES["map"].notes(sized)
    largest = sum(one.best.split.members == 4 for one in sized.advantages)
    assert edge.startswith(f"In {largest} of 12 cells the best n is the largest that was tried")
    assert said.startswith("Of 12 cells a split wins 8, the wide network wins 4, 0 are ties.")
    best = min(sized.advantages, key=lambda one: one.value.value)
    assert f"{best.value.value:+.4f}" in said
    assert best.setting.label in said
