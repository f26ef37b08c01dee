"""How many positions logits are kept of: what a plan says, what it refuses, and what stays as it was."""

import numpy as np
import pytest

from ensembudget.datasets._base import Arrays
from ensembudget.errors import StudyError
from ensembudget.packing.parts import asked_of
from ensembudget.planning.plan import plan
from ensembudget.planning.scored import scored_notes
from ensembudget.records import Study, Task
from sequences import TASK as TOKENS
from sequences import family


def planned(task, **changes):
    fields = {"family": "wide_resnet", "options": {"depth": 10}} if isinstance(task, Task) else {}
    fields = {"family": "bigram", "recipe": {"base": "default", "epochs": 1}, **fields, **changes}
    study = Study(name="s", description="d", dataset="digits", widths=[2], pool=2, train_size=50, **fields)
    return plan(study, task, digest="0" * 64, dataset="tiny", train_samples=100)


@pytest.fixture
def bigram(plug_in):
    plug_in("families", "bigram", family=family)


def test_a_plan_of_positions_says_how_many_are_scored(bigram):
    assert planned(TOKENS).cells[0].cell.scored == 4000
    assert planned(TOKENS, scored_positions=77).cells[0].cell.scored == 77
    assert planned(Task(10, 1, 8)).cells[0].cell.scored is None


def test_a_task_of_one_answer_a_sample_has_no_such_choice():
    with pytest.raises(StudyError, match=r"scored_positions 77: each of the images of 'tiny' has one answer"):
        planned(Task(10, 1, 8), scored_positions=77)


def test_what_is_scored_of_fewer_positions_is_among_what_is_scored_of_more():
    labels = np.random.default_rng(0).integers(-1, 12, size=(40, 6))
    labels[labels < 0] = -100
    inputs = np.arange(240, dtype=np.int32).reshape(40, 6)
    found = {}
    for count in (10, 50, 100):
        asked = asked_of(inputs, labels, count)
        assert len(asked.labels) == count
        at = [
            (int(sample), int(place)) for sample, place in zip(asked.samples, asked.places[:, 1], strict=True)
        ]
        assert [labels[one] for one in at] == asked.labels.tolist()
        found[count] = set(at)
    assert found[10] < found[50] < found[100]


def test_the_note_of_a_plan_counts_tokens_and_samples():
    labels = np.full((5, 6), 3)
    labels[0, 2:] = -100
    labels[1] = -100
    inputs = np.zeros((5, 6), np.int32)
    arrays = Arrays(inputs, labels, inputs, labels, 12, task=TOKENS)
    study = Study(name="s", description="d", family="f", dataset="d", scored_positions=7)
    (note,) = scored_notes(study, TOKENS, arrays)
    blocks = len(asked_of(inputs, labels, 7).samples.unique())
    assert note.startswith(
        "Scores are of 7 of the 20 predicted tokens of the test blocks, the first of a fixed random order, in"
        f" {blocks} blocks."
    )
    (note,) = scored_notes(study.model_copy(update={"scored_positions": None}), TOKENS, arrays)
    assert note.startswith("Scores are of all 20 predicted tokens of the test blocks, in 4 blocks.")
    assert scored_notes(study, Task(10, 1, 8), arrays) == []
