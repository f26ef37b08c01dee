"""Data size and subset as axes of a study: what is planned, what is trained on, what is refused."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ensembudget.datasets._base import Arrays
from ensembudget.errors import StudyError
from ensembudget.packing.parts import parts_of
from ensembudget.planning.plan import plan
from ensembudget.records import Arm, Plan, RecipeChoice, Setting, Study, Task
from ensembudget.studies import parse

DIGITS = Task(10, 1, 8)


def make_study(**changes):
    fields = {
        "name": "sizes", "description": "d", "family": "wide_resnet", "options": {"depth": 10},
        "dataset": "digits", "train_size": [100, 200], "validation_size": 100, "budgets": ["20k", "78k"],
        "members": [1, 2], "tolerance": 0.2, "replicates": 2, "pool": 3,
    }  # fmt: skip
    return Study(**{**fields, **changes})


def make_plan(study, train_samples=1000):
    return plan(study, DIGITS, digest="0" * 64, dataset="digits", train_samples=train_samples)


def test_every_data_size_has_every_split_and_pools_of_its_own():
    found = make_plan(make_study())
    assert found.settings == [Setting(train_size=100), Setting(train_size=200)]
    assert {(s.train_size, s.budget, s.members) for s in found.splits} == set(
        itertools.product((100, 200), (20_000, 78_000), (1, 2))
    )
    for split in found.splits:
        planned = found.cell_of(split)
        assert (planned.cell.train_size, planned.cell.width) == (split.train_size, split.width)
    assert len({run.key for run in found.runs}) == len(found.runs)


def test_arms_sizes_and_subsets_are_crossed_in_the_studys_order():
    arms = [Arm(name="a"), Arm(name="b", recipe=RecipeChoice(epochs=3))]
    found = make_plan(make_study(arms=arms, subsets=2))
    assert found.settings == [
        Setting(arm, None, size, subset) for arm in "ab" for size in (100, 200) for subset in (0, 1)
    ]
    assert found.settings[0].label == "a, 100 images, subset 0"


def test_a_list_of_one_size_is_an_axis_and_a_number_is_none():
    listed, plain = (make_plan(make_study(train_size=size)) for size in ([200], 200))
    assert (listed.settings, plain.settings) == ([Setting(train_size=200)], [Setting()])
    assert [run.key for run in listed.runs] == [run.key for run in plain.runs]


def test_the_first_subset_is_the_data_that_was_always_trained_on():
    alone, several = make_plan(make_study(train_size=200)), make_plan(make_study(train_size=200, subsets=3))
    first = [planned for planned in several.cells if planned.subset == 0]
    assert [run.key for planned in first for run in planned.runs] == [run.key for run in alone.runs]


def test_a_recipe_at_one_size_is_laid_over_the_studys():
    at = {"100": RecipeChoice(epochs=60), "200": RecipeChoice(batch_size=32)}
    found = make_plan(make_study(recipe=RecipeChoice(epochs=20, batch_size=64), recipe_at=at))
    assert {(p.train_size, p.cell.recipe.epochs, p.cell.recipe.batch_size) for p in found.cells} == {
        (100, 60, 64), (200, 20, 32)
    }  # fmt: skip


def test_a_swept_value_is_laid_over_the_recipe_at_a_size():
    at = {"100": RecipeChoice(epochs=60, batch_size=32)}
    found = make_plan(make_study(recipe_at=at, sweep={"epochs": [5, 6]}))
    assert {(p.arm, p.train_size, p.cell.recipe.epochs) for p in found.cells} == {
        (f"epochs = {epochs}", size, epochs) for epochs in (5, 6) for size in (100, 200)
    }
    assert {p.cell.recipe.batch_size for p in found.cells if p.train_size == 100} == {32}


def test_a_plan_with_sizes_and_subsets_is_the_same_after_a_round_trip():
    found = make_plan(make_study(subsets=2))
    assert Plan.from_json(found.to_json()) == found


IMAGES = np.random.default_rng(0).integers(0, 256, (240, 8, 8, 1), dtype=np.uint8)
NUMBERED = Arrays(IMAGES, np.arange(240), IMAGES[:1], np.zeros(1, np.int64), classes=240)
CELL = make_plan(make_study(train_size=200)).cells[0].cell


@given(st.integers(1, 40), st.integers(1, 6))
def test_subsets_are_disjoint_and_as_large_as_asked(size, subsets):
    facts = {"train_size": size, "validation_size": 0}
    drawn = [
        parts_of(CELL.model_copy(update={**facts, "subset": subset}), NUMBERED) for subset in range(subsets)
    ]
    labels = torch.cat([parts.labels for parts in drawn]).tolist()
    assert len(set(labels)) == len(labels) == size * subsets
    for parts in drawn:
        assert torch.equal(parts.inputs, torch.from_numpy(IMAGES[parts.labels.numpy()]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train_size": [100, 2000]}, r"train_size 2,000 and validation_size 100 need more than the 1,000"),
        ({"train_size": [9, 100]}, r"train_size 9 is below the 10 classes.*at least 10"),
        ({"subsets": 5}, r"train_size 200 in 5 disjoint subsets.*at most 180, or at most 4 subsets"),
        ({"train_size": [100, 100]}, r"train_size: 100 is listed twice"),
        (
            {"recipe_at": {"300": RecipeChoice(epochs=1)}},
            r"recipe_at: the study has no train_size '300'. It has 100, 200",
        ),
        (
            {"train_size": None, "recipe_at": {"300": RecipeChoice(epochs=1)}},
            r"recipe_at: the study has no train_size '300'. It has none",
        ),
        ({"subsets": 9000}, r"18,000 combinations.*at most 10,000"),
    ],
)
def test_sizes_that_cannot_be_are_refused_with_the_numbers(changes, words):
    with pytest.raises(StudyError, match=f"(?s){words}"):
        make_plan(make_study(**changes))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("train_size = []", "train_size"),
        ("train_size = [0]", "train_size"),
        ('train_size = "many"', "train_size"),
        ("subsets = 0", "subsets"),
        ("[recipe_at]\n100 = { epoch = 3 }", "epochs"),
    ],
)
def test_a_study_file_with_such_a_fault_is_one_clear_message(line, words):
    text = 'name = "x"\ndescription = ""\nfamily = "vgg"\ndataset = "digits"\nwidths = [4]\n'
    with pytest.raises(StudyError, match=words) as caught:
        parse(text + line, "x")
    assert str(caught.value).count("\n") == 1, caught.value
