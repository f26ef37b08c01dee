"""What a recipe may say depends on the task, the mode and the length of the run; what cannot be is said."""

import dataclasses

import pytest
import torch
from torch import nn

from ensembudget import recipes, studies
from ensembudget.catalog import TASKS
from ensembudget.errors import StudyError
from ensembudget.families._base import Family
from ensembudget.planning.first_look import first_look
from ensembudget.planning.plan import plan
from ensembudget.planning.variants import variants_of
from ensembudget.records import Recipe, RecipeChoice, Study, Task, TokenTask, Tune
from ensembudget.studies import fields

WORDS = TokenTask("text_classification", classes=3, vocabulary=11, length=4)
IMAGES = Task(4, 1, 8)


class Bag(nn.Module):
    """One score for every token and class, added up over the tokens."""

    def __init__(self, width, task, members):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(members * task.vocabulary, width * task.classes))
        self._members, self._classes = members, task.classes

    def initialise(self, generators):
        pass

    def forward(self, tokens):
        scores = self.weight.unflatten(0, (self._members, -1)).unflatten(2, (-1, self._classes)).sum(2)
        own = nn.functional.one_hot(tokens, scores.shape[1]).unflatten(1, (self._members, -1)).sum(2)
        return torch.einsum("smv,mvc->smc", own.to(scores.dtype), scores).flatten(1)


@pytest.fixture
def bag(plug_in):
    plug_in("families", "bag", family=Family(build=Bag, tasks=frozenset(("text_classification",))))


def planned(task=WORDS, family="bag", **changes):
    changes["recipe"] = RecipeChoice(**{"epochs": 4, "batch_size": 10, **changes.get("recipe", {})})
    study = Study(
        name="x", description="x", family=family, dataset="some", train_size=100, validation_size=20,
        widths=[2], pool=1, **changes,
    )  # fmt: skip
    return plan(study, task, digest="0" * 64, dataset="some", train_samples=200)


def test_a_study_of_texts_may_start_from_a_recipe_of_images(bag):
    (one,) = planned(recipe={"base": "kodryan2022"}).cells
    assert one.cell.recipe.normalisation == "cifar10"


@pytest.mark.parametrize("place", ["recipe", "sweep", "tune"])
def test_what_a_study_of_texts_itself_says_of_images_is_refused(bag, place):
    changes = {
        "recipe": {"recipe": {"flip": False, "crop_padding": 2}},
        "sweep": {"sweep": {"crop_padding": [0, 2], "flip": [True]}},
        "tune": {"tune": Tune(values={"crop_padding": [0, 2], "flip": [True, False]})},
    }[place]
    with pytest.raises(StudyError) as caught:
        planned(**changes)
    assert (
        "recipe.crop_padding and recipe.flip: only images have that, and the samples of 'some' are texts."
        in str(caught.value)
    )


def test_fields_that_augment_images_are_accepted_for_images():
    (one,) = planned(IMAGES, "convnet", recipe={"flip": False, "crop_padding": 2}).cells
    assert (one.cell.recipe.flip, one.cell.recipe.crop_padding) == (False, 2)


def test_a_warm_up_as_long_as_the_run_is_refused_with_the_longest_that_fits(bag):
    assert planned(recipe={"warmup_steps": 39}).cells[0].cell.steps == 40
    with pytest.raises(
        StudyError, match=r"warmup_steps 40 is not below the 40 steps of a run \(4 epochs of 10\)"
    ):
        planned(recipe={"warmup_steps": 40})
    with pytest.raises(StudyError, match=r"at most 39 \(a tenth of all steps"):
        planned(recipe={"warmup_steps": 4000})


def test_a_first_look_may_end_in_its_warm_up(bag):
    study = planned(recipe={"warmup_steps": 39}).study
    look = first_look(study, epochs=1)
    (one,) = plan(look, WORDS, digest="0" * 64, dataset="some", train_samples=200).cells
    assert (one.cell.steps, one.cell.recipe.warmup_steps) == (10, 39)


def test_a_family_has_the_recipe_that_names_it():
    for name in recipes.names():
        assert recipes.default_of(name) in ("default", name)
    assert recipes.default_of("transformer") == "transformer"
    assert recipes.default_of("wide_resnet") == "default"
    found = recipes.resolve("transformer", {}, family="transformer", dataset="some", width=64).recipe
    assert (found.beta2, found.clip, found.schedule_by, found.warmup_steps) == (0.98, 1.0, "step", 200)


def test_no_two_recipes_are_the_default_of_one_family():
    named = [family for name in recipes.names() for family in recipes._table(name).get("default_for", ())]
    assert len(named) == len(set(named))


ON_DIGITS = """
name = "x"
description = "x"
family = "{family}"
dataset = "digits"
budgets = ["10k"]
{rest}
"""


@pytest.mark.parametrize(
    ("family", "rest", "modes"),
    {
        "a Transformer starts from a recipe of Adam": ("transformer", "", ["adamw"]),
        "other families do not": ("convnet", "", ["bn_wd"]),
        "a base says its mode": ("convnet", 'recipe.base = "transformer"', ["adamw"]),
        "another base says another": ("transformer", 'recipe.base = "default"', ["bn_wd"]),
        "the mode of the file counts": ("transformer", 'mode = "bn_wd"\nrecipe.beta2 = 0.999', ["bn_wd"]),
        "arms have the mode of their base": (
            "transformer",
            'arms = [{ name = "a" }, { name = "b", recipe.base = "default" }]',
            ["adamw", "bn_wd"],
        ),
        "or their own": (
            "transformer",
            'arms = [{ name = "a", mode = "bn_wd", recipe.beta2 = 0.999 }]',
            ["bn_wd"],
        ),
        "or that of the file": (
            "convnet",
            'mode = "adamw"\narms = [{ name = "a", recipe.base = "default" }]',
            ["adamw"],
        ),
    }.values(),
)
def test_a_study_without_a_mode_has_that_of_its_base_recipe(family, rest, modes):
    study = studies.parse(ON_DIGITS.format(family=family, rest=rest), "x.toml")
    assert [variant.mode for variant in variants_of(study)] == modes


def test_a_stated_mode_that_the_recipe_cannot_have_is_refused():
    text = ON_DIGITS.format(family="transformer", rest='mode = "bn_wd"')
    with pytest.raises(StudyError, match=r'beta2 = 0\.98 belongs to mode .adamw.*Set mode = "adamw"'):
        studies.parse(text, "x.toml")


def test_every_field_of_a_recipe_is_in_one_group_of_the_page():
    grouped = [one.name for some in fields.groups("recipe").values() for one in some]
    assert sorted(grouped) == sorted(RecipeChoice.model_fields)
    of_images = {one.name for one in fields.groups("recipe")["Only of images"]}
    assert of_images == TASKS["images"].augmented


def test_a_study_can_choose_every_field_of_a_recipe():
    assert set(RecipeChoice.model_fields) == {"base", *Recipe.model_fields}


def test_a_kind_of_task_that_augments_gets_a_group_of_its_own(plug_in):
    noisy = dataclasses.replace(
        TASKS["text_classification"], samples="notes", augmented=frozenset(["dropout"])
    )
    plug_in("tasks", "notes", task=noisy)
    assert [one.name for one in fields.groups("recipe")["Only of notes"]] == ["dropout"]
