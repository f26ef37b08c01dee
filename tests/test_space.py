"""What a search on a tiny study may choose from, what it may train, and what it may spend."""

import re

import pytest

from ensembudget import studies
from ensembudget.errors import ArgumentError, ArmError, PlanError
from ensembudget.prediction.space import spend_of
from ensembudget.records import Arm, RecipeChoice, Study
from ensembudget.verbs.plan import plan_study
from ensembudget.verbs.search import space_of
from searching import BUDGET, POOLS, STUDY


@pytest.fixture(scope="module")
def study(tmp_path_factory, digits) -> Study:
    path = tmp_path_factory.mktemp("study") / "seek.toml"
    path.write_text(STUDY)
    return studies.load_study(path)


@pytest.fixture(scope="module")
def space(study):
    return space_of(study, BUDGET)


def test_the_grid_is_what_the_study_trains_for_the_budget(study, space):
    planned = plan_study(study)
    splits = [one for one in planned.splits if one.budget == 11338]
    # Forward and twice that for backward, 100 images, one epoch; four members of a width, or two ensembles.
    each = {one.members: 3 * one.flops_per_sample // one.members * 100 for one in splits}
    assert space.grid == sum(max(4, 2 * n) * flops for n, flops in each.items())
    assert {one.members: one.width for one in space.budget.candidates} == {1: 6, 2: 4, 4: 3}
    assert [one.parameters for one in space.budget.candidates] == [11338, 5178, 2992]


def test_narrower_widths_of_other_budgets_may_be_trained_and_costlier_ones_may_not(study, space):
    assert {k: cell.members for k, cell in space.cells.items()} == POOLS
    assert set(space_of(study, "5178").cells) == {2, 3, 4}
    more = space_of(study.model_copy(update={"widths": [1, 5, 9]}), BUDGET)
    assert set(more.cells) == {1, 2, 3, 4, 5, 6}
    assert more.grid == space.grid


def test_cells_are_those_of_the_study_so_that_its_run_has_them(study, space):
    keys = {run.key for run in plan_study(study).runs}
    assert {run.key for run in space.planned.runs} == keys


def test_a_budget_is_the_same_however_it_is_written(study, space):
    for text in ("11.338k", "11,338"):
        one = space_of(study, text)
        assert (one.search, one.budget, one.grid) == (space.search, space.budget, space.grid)
        assert one.cells == space.cells


def test_a_budget_that_the_study_does_not_have_can_be_searched(study):
    asked = study.model_copy(update={"budgets": ["5178"]})
    space = space_of(asked, BUDGET)
    assert {k: cell.members for k, cell in space.cells.items()} == POOLS


@pytest.mark.parametrize(
    ("changes", "budget", "words"),
    [
        ({"members": [1]}, BUDGET, ("'11338'", "'seek'", "splits of n = 1;", "at least one other")),
        ({"members": [2, 4]}, BUDGET, ("'11338'", "'seek'", "splits of n = 2, 4;", "wide network")),
        (
            {"members": [1, 2], "budgets": []},
            BUDGET,
            ("'11338'", "'seek'", "2 widths to train 2 members of", "needs 3", "`widths`"),
        ),
        # Three widths, of the widest a lone member.
        (
            {"budgets": [], "pool": 1, "replicates": 1},
            BUDGET,
            ("2 widths to train 2 members of", "needs 3", "`pool`"),
        ),
    ],
)
def test_a_budget_with_too_little_to_choose_or_to_learn_from_is_refused(changes, budget, words, study):
    with pytest.raises(PlanError) as caught:
        space_of(study.model_copy(update=changes), budget)
    for word in words:
        assert word in str(caught.value)


def test_an_arm_is_chosen_by_name(study):
    arms = [
        Arm(name=name, recipe=RecipeChoice(learning_rate=rate)) for name, rate in (("a", 0.1), ("b", 0.2))
    ]
    both = study.model_copy(update={"arms": arms})
    with pytest.raises(ArmError, match=r"--arm: 'a', 'b'"):
        space_of(both, BUDGET)
    with pytest.raises(ArmError, match="'c' is not an arm"):
        space_of(both, BUDGET, "c")
    with pytest.raises(ArmError, match="has no arms"):
        space_of(study, BUDGET, "a")
    one, other = (space_of(both, BUDGET, arm) for arm in "ab")
    assert {cell.arm for cell in one.planned.cells} == {"a"}
    assert {cell.cell.recipe.learning_rate for cell in other.planned.cells} == {0.2}
    assert set(one.cells) == set(POOLS)
    assert one.grid == other.grid


@pytest.mark.parametrize(
    ("text", "flops"),
    [
        *(("25%", 2e12), ("0.5%", 4e10), ("100%", 8e12), (" 25 % ", 2e12), ("1e1%", 8e11), (".5%", 4e10)),
        *(("500FLOP", 500), ("2kFLOP", 2e3), ("7MFLOPs", 7e6), ("5.2GFLOPs", 5.2e9), ("1e6GFLOP", 1e15)),
        *(("40TFLOP", 4e13), ("0.5PFLOP", 5e14), ("3 EFLOP", 3e18), ("1ZFLOP", 1e21), ("2e-3TFLOP", 2e9)),
    ],
)
def test_a_spend_is_a_share_of_the_grid_or_operations(text, flops):
    assert spend_of(text, 8e12) == pytest.approx(flops, rel=1e-12)


BAD_SPENDS = (
    "0%", "101%", "-5%", "abc%", "%", "nan%", "inf%", "", "40MB", "0FLOP", "-3GFLOP", "much",
    # 25 could be a share.
    "25", "1e9", "0.25", "40T", "40gflop", "40KFLOP", "1e6", "infFLOP", "1e400FLOP", "1 000GFLOP", "2%FLOP",
)  # fmt: skip


@pytest.mark.parametrize("text", BAD_SPENDS)
def test_a_spend_that_cannot_be_is_refused(text):
    with pytest.raises(ArgumentError, match=re.escape(repr(text))):
        spend_of(text, 8e12)
