"""The widths that spend a budget, against the papers' and against trying every width."""

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ensembudget.catalog import BUDGETS, FAMILIES
from ensembudget.errors import PlanError, StudyError, UnknownPartError
from ensembudget.planning.check import study_faults
from ensembudget.planning.plan import plan
from ensembudget.planning.widths import cost, split
from ensembudget.records import Plan, RecipeChoice, Study, Task
from helpers import task_for

CIFAR100, CIFAR10, DIGITS = Task(100, 3, 32), Task(10, 3, 32), Task(10, 1, 8)
WRN_STANDARD, VGG_STANDARD = 36_755_940, 15_291_300


def test_wide_resnet_splits_of_the_standard_budget_are_the_papers():
    widths = [split("wide_resnet", CIFAR100, WRN_STANDARD, n).width for n in (1, 2, 4, 8, 16)]
    assert widths in ([160, 113, 80, 57, 40], [160, 113, 80, 56, 40])


def test_wide_resnet_widths_over_the_papers_budgets_are_the_papers():
    budgets = [WRN_STANDARD * 2**i // 64 for i in range(10)]
    widths = [split("wide_resnet", CIFAR100, budget, 1).width for budget in budgets]
    assert widths in ([20, 28, 40, w, 80, 113, 160, 226, 320, 453] for w in (56, 57))


def test_vgg_widths_over_the_papers_budgets_are_the_papers():
    budgets = [VGG_STANDARD * 2**i // 128 for i in range(11)]
    widths = [split("vgg", CIFAR100, budget, 1).width for budget in budgets]
    assert widths == [6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181]


def test_a_split_says_what_it_costs():
    found = split("wide_resnet", CIFAR100, WRN_STANDARD, 16)
    assert (found.budget, found.budget_kind, found.members, found.width) == (
        WRN_STANDARD,
        "parameters",
        16,
        40,
    )
    assert found.parameters_per_member == 1432 * 40**2 + 604 * 40 + 100 == 2_315_460
    assert found.parameters_total == 37_047_360
    assert found.error_percent == pytest.approx(100 * (37_047_360 / 36_755_940 - 1))
    assert found.flops_per_sample == 16 * cost("wide_resnet", 40, CIFAR100, "flops")
    assert found.activations_per_sample == 16 * cost("wide_resnet", 40, CIFAR100, "activations")
    assert found.bytes_total == 16 * cost("wide_resnet", 40, CIFAR100, "bytes")


OPTIONS = {"vgg": {"depth": 11}, "wide_resnet": {"depth": 10}}


@settings(max_examples=40, deadline=None)
@given(
    family=st.sampled_from(sorted(OPTIONS)),
    kind=st.sampled_from(list(BUDGETS)),
    members=st.integers(1, 6),
    step=st.integers(1, 4),
    target=st.floats(0.9, 12.4),
)
def test_the_width_is_the_nearest_of_all(family, kind, members, step, target):
    def total(width):
        return members * cost(family, width, DIGITS, kind, options=OPTIONS[family])

    below, above = total(max(1, int(target)) * step), total((int(target) + 1) * step)
    budget = max(1, round(below + (target % 1) * (above - below)))
    widths = range(step, 15 * step, step)
    nearest = min(abs(total(width) - budget) for width in widths)
    assume(total(step) <= budget)
    found = split(family, DIGITS, budget, members, kind, options=OPTIONS[family], multiple_of=step)
    assert found.width % step == 0
    assert abs(total(found.width) - budget) == nearest
    assert found.error_percent == pytest.approx(100 * (total(found.width) - budget) / budget)


@settings(max_examples=30, deadline=None)
@given(budget=st.integers(1, 5000), members=st.integers(1, 8))
def test_a_small_budget_is_spent_or_refused_never_ignored(budget, members):
    least = members * cost("wide_resnet", 1, DIGITS, options={"depth": 10})
    if least > 1.05 * budget:
        with pytest.raises(PlanError, match=f"at least {least:,}"):
            split("wide_resnet", DIGITS, budget, members, options={"depth": 10})
    else:
        found = split("wide_resnet", DIGITS, budget, members, options={"depth": 10})
        assert found.parameters_total == members * found.parameters_per_member


@pytest.mark.parametrize("kind", list(BUDGETS))
@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_kind_of_budget_can_be_split(family, kind):
    task = task_for(family)
    budget = 4 * cost(family, 16, task, kind)
    assert split(family, task, budget, 4, kind).width == 16
    assert split(family, task, budget, 1, kind).width > 16


def test_bytes_follow_the_dtype():
    full = split("vgg", CIFAR10, 10**8, 2, "bytes").width
    half = split("vgg", CIFAR10, 10**8, 2, "bytes", dtype="float16").width
    assert half == pytest.approx(full * 2**0.5, abs=1)


def test_multiple_of_holds_for_every_width():
    found = [split("wide_resnet", CIFAR100, WRN_STANDARD, n, multiple_of=8) for n in (1, 2, 4, 8, 16)]
    assert [s.width for s in found] == [160, 112, 80, 56, 40]


def test_a_budget_too_small_is_refused_with_the_numbers_and_what_would_do():
    one = cost("wide_resnet", 1, DIGITS, options={"depth": 10})
    with pytest.raises(PlanError) as caught:
        split("wide_resnet", DIGITS, 3 * one + 5, 8, options={"depth": 10})
    message = str(caught.value)
    for words in (
        f"{3 * one + 5:,} parameters", "8 members", "'wide_resnet'", "width 1", f"{one:,}",
        f"{8 * one:,}", "at most 3 members",
    ):  # fmt: skip
        assert words in message
    assert split("wide_resnet", DIGITS, 3 * one + 5, 3, options={"depth": 10}).width == 1
    assert split("wide_resnet", DIGITS, 8 * one, 8, options={"depth": 10}).width == 1


def test_a_budget_too_small_for_one_member_names_no_number_of_members():
    with pytest.raises(PlanError) as caught:
        split("wide_resnet", DIGITS, 5, 2)
    assert "at most" not in str(caught.value)
    assert "a budget of at least" in str(caught.value)


def test_a_budget_too_small_for_a_multiple_says_which_width_is_the_narrowest():
    with pytest.raises(PlanError, match=r"at its narrowest \(width 8\)"):
        split("wide_resnet", DIGITS, 5000, 2, options={"depth": 10}, multiple_of=8)


def test_a_thousand_million_members_are_refused():
    with pytest.raises(PlanError, match=re.escape("1,000,000,000 members")):
        split("wide_resnet", CIFAR100, WRN_STANDARD, 10**9)


@pytest.mark.parametrize("kind", list(BUDGETS))
@pytest.mark.parametrize("budget", [10**18, 10**30])
def test_a_huge_budget_is_refused_with_the_widest(kind, budget):
    with pytest.raises(PlanError, match="above 65,536"):
        split("wide_resnet", CIFAR100, budget, 1, kind, options={"depth": 10})


def test_a_huge_budget_for_as_many_members_can_be_spent():
    one = cost("vgg", 64, CIFAR100)
    assert split("vgg", CIFAR100, one * 10**9, 10**9).width == 64


@pytest.mark.parametrize("step", [65_537, 10**9, 10**12])
def test_a_multiple_beyond_every_width_is_refused(step):
    with pytest.raises(PlanError, match=r"multiple_of|width"):
        split("vgg", CIFAR100, 10**30, 1, multiple_of=step)


@pytest.mark.parametrize(
    "changes", [{"members": 0}, {"members": -1}, {"budget": 0}, {"multiple_of": 0}], ids=str
)
def test_a_number_below_one_is_refused_by_name(changes):
    (name, value), *_ = changes.items()
    with pytest.raises(PlanError, match=f"{name} {value} is below 1"):
        split("vgg", CIFAR10, **{"budget": 10**6, "members": 2, **changes})


def test_an_unknown_family_kind_or_option_is_refused_with_the_one_meant():
    with pytest.raises(UnknownPartError, match="Did you mean 'vgg'"):
        split("vggg", CIFAR10, 10**6, 1)
    with pytest.raises(UnknownPartError, match="Did you mean 'parameters'"):
        split("vgg", CIFAR10, 10**6, 1, "parameter")
    with pytest.raises(PlanError, match="22 or 28"):
        split("wide_resnet", CIFAR10, 10**6, 1, options={"depth": 27})


def test_an_option_of_the_wrong_type_is_refused_also_after_the_right_one():
    cost("vgg", 3, CIFAR10, options={"batch_norm": True})
    with pytest.raises(PlanError, match="type bool"):
        cost("vgg", 3, CIFAR10, options={"batch_norm": 1})


# Studies.


def make_study(**changes):
    fields = {
        "name": "test", "description": "d", "family": "wide_resnet", "options": {"depth": 10},
        "dataset": "digits", "train_size": 700, "validation_size": 300, "budgets": ["20k", "78k"],
        "members": [1, 2, 4], "tolerance": 0.2, "replicates": 2, "pool": 3,
    }  # fmt: skip
    return Study(**{**fields, **changes})


def make_plan(study, train_samples=1000):
    return plan(study, DIGITS, digest="0" * 64, dataset="digits", train_samples=train_samples)


def test_a_plan_has_a_split_for_every_budget_and_size():
    found = make_plan(make_study())
    assert [(s.budget, s.members) for s in found.splits] == [
        (budget, members) for budget in (20_000, 78_000) for members in (1, 2, 4)
    ]


def test_a_pool_serves_the_largest_ensemble_of_its_width_as_often_as_asked():
    found = make_plan(make_study(members=[1, 2, 4, 8], narrowest=2))
    for planned in found.cells:
        sizes = [s.members for s in found.splits if s.width == planned.cell.width]
        assert planned.members == max(3, 2 * max(sizes))
        assert [run.seed for run in planned.runs] == list(range(planned.members))
    assert len({p.cell.width for p in found.cells}) == len(found.cells)
    assert {s.width for s in found.splits} == {p.cell.width for p in found.cells}
    assert len({run.key for run in found.runs}) == len(found.runs) == sum(p.members for p in found.cells)


def test_budgets_that_use_one_width_share_its_pool():
    one = cost("wide_resnet", 8, DIGITS, options={"depth": 10})
    found = make_plan(make_study(budgets=[one, 4 * one], members=[1, 4], narrowest=8))
    assert [(s.width, s.members) for s in found.splits] == [(8, 1), (found.splits[1].width, 1), (8, 4)]
    assert {p.cell.width: p.members for p in found.cells}[8] == 8


def test_widths_beyond_the_budgets_have_a_pool_too():
    found = make_plan(make_study(widths=[3, 50]))
    pools = {p.cell.width: p.members for p in found.cells}
    assert (pools[3], pools[50]) == (3, 3)
    assert make_plan(make_study(budgets=[], widths=[3])).splits == []


def test_a_split_narrower_than_the_study_goes_is_left_out():
    found = make_plan(make_study(members=[1, 2, 4, 8, 16], narrowest=8))
    assert min(s.width for s in found.splits) >= 8
    assert len(found.splits) < 10


def test_a_plan_is_the_same_after_a_round_trip():
    found = make_plan(make_study())
    assert Plan.from_json(found.to_json()) == found
    assert all(found.cell_of(s).cell.width == s.width for s in found.splits)


def test_a_cell_carries_the_studys_choices():
    study = make_study(recipe=RecipeChoice(epochs=7, dropout=0.1), options={"depth": 10})
    for planned in make_plan(study).cells:
        cell = planned.cell
        assert (cell.train_size, cell.validation_size, cell.options) == (700, 300, {"depth": 10})
        assert (cell.recipe.epochs, cell.recipe.dropout, cell.mode) == (7, 0.1, "bn_wd")


def test_without_a_train_size_all_images_but_validation_are_trained_on():
    cells = make_plan(make_study(train_size=None)).cells
    assert {p.cell.train_size for p in cells} == {700}


def test_the_name_of_the_dataset_does_not_change_a_members_key():
    study = make_study()
    named = [
        plan(study, DIGITS, digest="0" * 64, dataset=name, train_samples=1000).runs
        for name in ("digits", "mine")
    ]
    assert [r.key for r in named[0]] == [r.key for r in named[1]]
    other = plan(study, DIGITS, digest="1" * 64, dataset="digits", train_samples=1000).runs
    assert not {r.key for r in other} & {r.key for r in named[0]}


def test_a_split_that_misses_its_budget_is_refused_with_a_budget_that_fits():
    with pytest.raises(StudyError) as caught:
        make_plan(make_study(budgets=[1000], members=[1], tolerance=0.01))
    message = str(caught.value)
    assert "misses the budget by" in message
    assert "tolerance of 1%" in message
    fitting = int(re.search(r"a budget of\s+([\d,]+)", message)[1].replace(",", ""))
    assert make_plan(make_study(budgets=[fitting], members=[1], tolerance=0.01)).splits


def test_all_faults_of_a_study_are_told_at_once():
    study = make_study(train_size=900, budgets=["10", "78k"], members=[1, 10**6], tolerance=0.2)
    with pytest.raises(StudyError) as caught:
        make_plan(study)
    message = str(caught.value)
    assert message.count("\n  - ") == 4
    for words in (
        "train_size 900 and validation_size 300", "at most 700",
        "budgets '10', members 1:", "budgets '10', members 1000000:", "budgets '78k', members 1000000:",
    ):  # fmt: skip
        assert words in message


def test_validation_larger_than_the_dataset_is_refused():
    with pytest.raises(StudyError, match="validation_size 2,000"):
        make_plan(make_study(train_size=None, validation_size=2000))


def test_a_study_whose_splits_are_all_too_narrow_is_refused():
    with pytest.raises(StudyError, match="narrowest 500"):
        make_plan(make_study(narrowest=500))


def test_a_narrowest_width_beyond_every_network_is_refused():
    with pytest.raises(StudyError, match="narrowest"):
        make_plan(make_study(narrowest=10**9))


def test_a_study_without_budgets_or_widths_is_told_so():
    with pytest.raises(StudyError) as caught:
        make_plan(make_study(budgets=[]))
    assert "budgets" in str(caught.value)
    assert "narrower" not in str(caught.value)


def test_names_are_checked_without_data():
    assert list(study_faults(make_study())) == []
    faults = study_faults(make_study(family="wide_resnt", mode="bn", budgets=["12 Q", "5k"]))
    assert len(faults) == 3
    assert {fault.split(":")[0] for fault in faults} == {"family", "mode", "budgets '12 Q'"}
