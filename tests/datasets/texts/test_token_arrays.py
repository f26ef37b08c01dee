"""Arrays of tokens and texts as other packages may bring them."""

import numpy as np
import pytest

from ensembudget.datasets._base import Arrays, Pairs, Running, Texts, Treatment
from ensembudget.datasets._check import check
from ensembudget.datasets._tokens import tokens_of
from ensembudget.errors import DatasetError
from ensembudget.records import TokenTask

GOOD = Arrays(
    np.ones((3, 4), np.int32), np.array([0, 1, 0]), np.ones((2, 4), np.int32), np.array([0, 1]), 2,
    task=TokenTask("text_classification", 2, 5, 4), outside_inputs=np.ones((1, 4), np.int32),
)  # fmt: skip
MODEL = TokenTask("language_model", 5, 5, 4)
BLOCKS = GOOD._replace(
    train_labels=np.ones((3, 4), int), test_labels=np.ones((2, 4), int), classes=5, task=MODEL
)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (GOOD._replace(train_inputs=np.ones((3, 3), np.int32)), r"training tokens of shape \(3, 3\)"),
        (
            GOOD._replace(test_inputs=np.full((2, 4), 5)),
            r"token 5 of test sample 0, position 0, is not in 0\.\.4",
        ),
        (GOOD._replace(outside_inputs=np.full((1, 4), -1)), "token -1 of out-of-scope sample 0"),
        (GOOD._replace(train_inputs=np.ones((3, 4))), "type float64"),
        (GOOD._replace(test_labels=np.array([0, 2])), "label 2 of test text 1 is not in 0..1"),
        (GOOD._replace(train_labels=np.array([0, -100, 1])), "label -100 of training text 1"),
        (
            GOOD._replace(train_labels=np.arange(12).reshape(3, 4) % 2),
            r"training labels of shape \(3, 4\); needed is \(sample\)",
        ),
        (GOOD._replace(classes=3), "has 3 classes, and its task 2"),
        (GOOD._replace(test_inputs=np.ones((0, 4), np.int32)), "no test texts"),
        (
            BLOCKS._replace(test_labels=np.full((2, 4), 5)),
            "label 5 of test block 0, position 0, is not in 0..4",
        ),
        (BLOCKS._replace(test_labels=np.full((2, 4), -100)), "no position of any test block has a label"),
        (
            BLOCKS._replace(test_labels=np.ones((2, 3), int)),
            r"labels of shape \(2, 3\); needed is \(sample, 4\)",
        ),
    ],
)
def test_tokens_that_cannot_be_trained_on_are_refused(arrays, message):
    check(GOOD, "x")
    check(BLOCKS._replace(train_labels=np.where(np.arange(4) < 2, 1, -100) * np.ones((3, 1), int)), "x")
    with pytest.raises(DatasetError, match=message):
        check(arrays, "x")


def test_texts_of_another_package_are_made_tokens_alike():
    form = Treatment(vocabulary=40, length=6)
    texts = tokens_of(Texts(["ab", "ba"], [0, 1], ["ab"], [0], ("x", "y")), "mine", form)[0]
    pairs = tokens_of(Pairs([("ab", "ba")], [("ba", "ab")]), "mine", form)[0]
    running = tokens_of(Running("ab" * 30, "ba" * 30), "mine", form)[0]
    assert [one.task.length for one in (texts, pairs, running)] == [6, 12, 6]
