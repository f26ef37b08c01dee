"""A first look is a study of its own: cut short, marked in every table, beside the whole study in a store."""

import json

import pytest

from ensembudget import studies
from ensembudget.errors import ArgumentError, StudyError
from ensembudget.planning.first_look import first_look
from ensembudget.planning.plan import plan
from ensembudget.records import Study

STUDY = """
name = "whole"
description = "two widths"
family = "wide_resnet"
options = { depth = 10 }
dataset = "digits"
train_size = 90
budgets = [5178]
members = [1, 2]
tolerance = 0.2
pool = 2

[recipe]
epochs = 5
batch_size = 32
"""
LOOK = ("--epochs", "2", "--train-size", "60", "--limit", "1")


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "whole.toml"
    found.write_text(STUDY)
    return found


def test_a_first_look_is_reported_by_the_same_flags_and_every_table_says_so(command, path, tmp_path):
    assert command("run", path, "--executor", "serial", *LOOK).code == 0
    said = command("report", path, *LOOK)
    assert said.code == 0, said
    mark = "FIRST LOOK: epochs 2, train-size 60, limit 1 in place of the study's own; its answer may differ."
    assert mark in said.out
    assert "Tables, figures and manifest are in report/whole-epochs2-train-size60-limit1;" in said.out
    out = tmp_path / "cwd" / "report" / "whole-epochs2-train-size60-limit1"
    notes = json.loads((out / "manifest.json").read_text())["notes"]
    assert notes
    assert all(mark in some for some in notes.values())
    written = [*out.glob("*.md")]
    assert written
    assert all(mark in one.read_text() for one in written)
    assert "0 of 1 members to train" in command("status", path, *LOOK).out
    # It is not the study itself, nor another look.
    assert "6 of 6 members to train" in command("status", path).out
    assert "1 of 1 members to train" in command("status", path, *LOOK, "--epochs", "1").out


def test_what_is_planned_is_cut_short(path, digits):
    whole = studies.load_study(path)
    cut = first_look(whole, epochs=2, train_size=60, limit=3)
    planned = plan(cut, digits.task, digest=digits.digest, dataset="digits", train_samples=1000)
    assert {(one.cell.train_size, one.cell.recipe.epochs) for one in planned.cells} == {(60, 2)}
    assert max(one.members for one in planned.cells) <= 3
    assert {one.members for one in planned.splits} == {1, 2}
    assert Study.from_json(cut.to_json()) == cut


def test_epochs_are_replaced_wherever_a_study_says_them():
    whole = Study.model_validate(
        {
            "name": "x", "description": "", "family": "vgg", "dataset": "digits", "train_size": [20, 50],
            "recipe_at": {"20": {"epochs": 9, "learning_rate": 0.2}, "50": {"epochs": 8}},
            "arms": [{"name": "a"}, {"name": "b", "recipe": {"epochs": 7, "dropout": 0.1}}],
            "sweep": {"epochs": [1, 2], "momentum": [0.1, 0.9]},
            "tune": {"values": {"epochs": [3, 4], "weight_decay": [0.1, 0.2]}},
        }
    )  # fmt: skip
    cut = first_look(whole, epochs=3)
    assert (cut.recipe.epochs, cut.sweep, cut.tune.values) == (
        3, {"momentum": [0.1, 0.9]}, {"weight_decay": [0.1, 0.2]},
    )  # fmt: skip
    assert [arm.recipe.overrides for arm in cut.arms] == [{}, {"epochs": 3, "dropout": 0.1}]
    assert cut.recipe_at["20"].overrides == {"epochs": 3, "learning_rate": 0.2}
    assert first_look(whole, train_size=20).recipe_at == {"20": whole.recipe_at["20"]}
    assert first_look(whole, train_size=30).recipe_at == {}
    both = first_look(whole, epochs=3, train_size=20)
    assert (both.train_size, both.recipe_at["20"].epochs) == (20, 3)
    alone = whole.model_copy(update={"tune": whole.tune.model_copy(update={"values": {"epochs": [3, 4]}})})
    assert first_look(alone, epochs=3).tune is None
    assert first_look(whole) is whole


@pytest.mark.parametrize("wrong", [0, -1])
def test_less_than_one_is_refused(wrong, path):
    with pytest.raises(ArgumentError, match=f"--epochs {wrong}: it must be at least 1"):
        first_look(studies.load_study(path), epochs=wrong)


@pytest.mark.parametrize("said", ["", "epochs 3"])
def test_a_study_file_cannot_say_that_it_was_cut_short(said):
    with pytest.raises(StudyError) as caught:
        studies.parse(f'first_look = "{said}"\n{STUDY}', "mine.toml")
    assert f"first_look = '{said}': no study file can say that" in str(caught.value)
    assert all(flag in str(caught.value) for flag in ("--epochs", "--train-size", "--limit"))


def test_it_is_told_beside_the_other_faults():
    with pytest.raises(StudyError, match=r"2 faults(.|\n)*first_look"):
        studies.parse(f'first_look = "epochs 3"\npool = 0\n{STUDY.replace("pool = 2", "")}', "mine.toml")
