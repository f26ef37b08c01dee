"""Members that predict every position: trained side by side as alone, and of several predictors."""

import numpy as np
import pytest

from ensembudget.datasets._base import Arrays
from ensembudget.datasets._data import Data
from ensembudget.families._base import Family
from ensembudget.packing.parts import parts_of
from ensembudget.records import Run
from ensembudget.tasks._base import IGNORED
from ensembudget.training.loop import train
from token_worlds import BLOCKS, PAIRS, RunningSums, cell_of, sentences

both = pytest.mark.parametrize("task", [BLOCKS, PAIRS], ids=lambda task: task.kind)
RECIPE = {**cell_of().recipe.model_dump(), "epochs": 12, "batch_size": 16, "learning_rate": 0.05}


@pytest.fixture(autouse=True)
def sums(plug_in):
    """A family of the running sums."""
    kinds = frozenset((BLOCKS.kind, PAIRS.kind))
    plug_in("families", "sums", family=Family(lambda width, *rest: RunningSums(*rest), tasks=kinds))


def data_of(task):
    """A label is the first token of its sentence: a table of sums can learn some of that."""
    arrays = []
    for seed, count in enumerate((100, 40)):
        inputs, labels = sentences(task, count, seed)
        arrays += [inputs, np.where(labels == IGNORED, IGNORED, inputs[:, :1].astype(np.int64))]
    return Data("sums", "0" * 64, Arrays(*arrays, task.classes, task=task))


def runs_of(**changes):
    facts = {"train_size": 80, "validation_size": 10, "scored": 50, "recipe": RECIPE, **changes}
    cell = cell_of(family="sums", options={}, width=1, **facts)
    return [Run(cell=cell, seed=seed) for seed in (0, 1)]


@both
def test_a_member_of_a_pack_is_the_member_trained_alone(task):
    data, runs = data_of(task), runs_of()
    together = train(runs, data)
    labels = parts_of(runs[0].cell, data.arrays).test.labels
    for one, run in zip(together, runs, strict=True):
        (alone,) = train([run], data)
        assert one.test_logits.shape == (50, task.classes)
        for name in ("train_loss", "validation_logits", "test_logits"):
            np.testing.assert_allclose(getattr(one, name), getattr(alone, name), rtol=0, atol=1e-4)
        assert one.train_loss[-1] < one.train_loss[0]
        assert (one.test_logits.argmax(1) == labels.numpy()).mean() > 2 / task.classes
    assert not np.allclose(together[0].test_logits, together[1].test_logits)


def test_a_unit_of_several_predictors_averages_their_probabilities_at_every_position():
    data, runs = data_of(BLOCKS), runs_of(method="snapshots", method_options={"predictors": 2})
    for one in train(runs, data):
        assert one.test_logits.shape == (50, BLOCKS.classes)
        # The logarithm of probabilities, which are a mean over predictors.
        assert np.exp(one.test_logits).sum(1) == pytest.approx(1, abs=1e-5)
