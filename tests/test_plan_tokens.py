"""Planning of token tasks through the command line: widths that heads divide, embeddings, what cannot be."""

import json

import pytest

from ensembudget.stepping.axes import axes
from ensembudget.store import Store
from ensembudget.studies import load_study
from ensembudget.verbs.plan import plan_study

PHRASES = '''
    """Two hundred phrases of random tokens: LENGTH tokens, a vocabulary of VOCABULARY."""

    import torch

    from ensembudget.catalog import TASKS
    from ensembudget.datasets._base import Arrays, Dataset
    from ensembudget.records import TokenTask

    task = TokenTask("text_classification", classes=3, vocabulary=500, length=6)


    def decode(place):
        parts = [TASKS[task.kind].random(task, n, torch.Generator().manual_seed(n)) for n in (200, 40)]
        return Arrays(*(one.numpy() for part in parts for one in part), task.classes, task=task)


    dataset = Dataset(decode, task=task)
'''

STUDY = """
name = "phrases"
description = "classes of phrases"
family = "transformer"
dataset = "phrases"
recipe = { warmup_steps = 10 }
options = {layers = 1}
"""


@pytest.fixture
def planned(install, command, folder):
    """`planned(...)` plans the transformer for phrases of 500 tokens; a study is given as its last lines."""
    install("words", datasets={"phrases": PHRASES})

    def plan(*words, family="transformer", dataset="phrases"):
        return command("plan", "--family", family, "--dataset", dataset, "--layers", 1, *words)

    return plan


@pytest.fixture
def run_plan(planned, command, folder):
    def plan(lines):
        (folder / "study.toml").write_text(STUDY + lines)
        return command("run", "study.toml", "--dry-run")

    return plan


def test_widths_are_multiples_of_the_heads_and_embeddings_are_told_apart(planned):
    said = planned("--budget", "20k", "--members", "1,2", "--multiple-of", 6, "--format", "json")
    assert said.code == 0, said.err
    for row in json.loads(said.out):
        k = row["width"]
        assert k % 12 == 0, "4 heads, and multiples of 6"
        assert row["embeddings_per_member"] == 500 * k
        assert row["parameters_per_member"] == 500 * k + 12 * k**2 + 13 * k + 2 * k + 3 * (k + 1)


def test_a_vocabulary_beyond_the_budget_is_refused_with_one_that_fits(planned):
    said = planned("--budget", "1.5k", "--members", "1")
    assert said.code == 2
    assert "2,000 parameters of each are embeddings of a vocabulary of 500 tokens" in said.err
    # At width 4 a member has 12 k^2 + 15 k + 3 (k + 1) = 267 parameters besides; 1,575 are tolerated.
    assert f"at most {(1575 - 267) // 4} tokens would fit" in said.err


def test_families_refuse_tasks_that_they_do_not_do_through_the_command_line(planned, command):
    said = command("plan", "--family", "convnet", "--dataset", "phrases", "--budget", "20k")
    assert said.code == 2
    assert "'convnet' does images, and the dataset asks for text_classification" in said.err
    assert "transformer" in said.err
    said = planned("--budget", "20k", dataset="digits")
    assert said.code == 2
    assert "asks for images. Families that do: convnet" in said.err


def test_a_study_refuses_a_width_that_heads_do_not_divide(run_plan):
    said = run_plan("widths = [10]")
    assert said.code == 2
    assert "widths: width 10 of family 'transformer' is no multiple of 4" in said.err
    assert "The nearest are 8 and 12." in said.err


def test_the_narrowest_width_of_a_study_need_be_no_multiple(run_plan):
    said = run_plan('narrowest = 5\nbudgets = ["10k"]\nmembers = [1, 2, 8]\ntolerance = 0.2')
    assert said.code == 0, said.err


def test_a_study_whose_family_cannot_do_its_task_is_refused_once(run_plan, folder, command):
    lines = STUDY.replace('"transformer"', '"vgg"').replace("options = {layers = 1}", "")
    (folder / "study.toml").write_text(f'{lines}budgets = ["10k", "20k"]\nmembers = [1, 2]')
    said = command("run", "study.toml", "--dry-run")
    assert said.code == 2
    assert said.err.count("asks for text_classification") == 1


def test_what_commands_print_of_several_data_sizes_speaks_of_texts(run_plan, command, folder):
    lines = """train_size = [60, 120]
validation_size = 50
widths = [4]
pool = 1
stepping = { pack = 1, way = "grouped", compiled = false, threads = 1 }
tune.values = { weight_decay = [0.0, 0.1] }
"""
    said = run_plan(lines)
    assert said.code == 0, said.err
    Store(folder / "store").save_plan(plan_study(load_study(folder / "study.toml")))
    state = command("status", "study.toml")
    assert state.code == 0, state.err
    for text in (said.out, state.out):
        assert "texts" in text
        assert "images" not in text


def test_tokens_have_no_layout_in_memory_to_choose_or_to_show(run_plan, command):
    lines = 'budgets = ["20k"]\nmembers = [1, 2]\ntolerance = 0.5\n'
    said = run_plan(lines)
    assert said.code == 0, said
    assert not {"channels_last", "contiguous"} & set(said.out.replace("|", " ").split())
    assert "grouped" in said.out
    for refused in (
        command("run", "study.toml", "--dry-run", "--stepping", "layout=contiguous"),
        run_plan(lines + 'stepping = { layout = "contiguous" }\n'),
    ):
        assert refused.code == 2
        assert "stepping.layout = 'contiguous': only images have a layout in memory" in refused.err
        assert "these samples are texts. Leave it out." in refused.err


def test_tuning_varies_no_layout_of_tokens():
    assert {name for axis in axes("cpu", 4, layouts=False) for value in axis for name in value} == {
        name for axis in axes("cpu", 4) for value in axis for name in value
    } - {"layout"}
