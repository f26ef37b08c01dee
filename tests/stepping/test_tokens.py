"""Ways of stepping a pack on tokens: whichever is taken, the members are those trained alone."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import Generator

from ensembudget.catalog import TASKS, WAYS
from ensembudget.datasets._base import Arrays
from ensembudget.datasets._data import Data
from ensembudget.records import Run, Stepping, TokenTask
from ensembudget.tasks._base import IGNORED
from ensembudget.training.loop import train

SEEDS = (3, 0, 5)
TOKENS = 13
OF = {
    "text_classification": TokenTask("text_classification", 3, TOKENS, 6),
    "language_model": TokenTask("language_model", TOKENS, TOKENS, 6),
    "translation": TokenTask("translation", TOKENS, TOKENS, 9, source=4),
}
HOW = [
    *(pytest.param(Stepping(pack=3, way=way), id=way) for way in WAYS),
    pytest.param(Stepping(pack=3, layout="contiguous"), id="contiguous"),
    pytest.param(Stepping(pack=3, compiled=True), id="compiled", marks=pytest.mark.slow),
]
every_kind = pytest.mark.parametrize("kind", OF)


def samples(task, count, seed):
    """Samples padded to lengths of their own, and labels that nothing at padding has."""
    generator = Generator().manual_seed(seed)
    inputs, labels = TASKS[task.kind].random(task, count, generator)
    lengths = torch.randint(task.source + 2, task.length + 1, (count, 1), generator=generator)
    padded = torch.arange(task.length) >= lengths
    inputs[padded] = 0
    if labels.ndim == 2:
        labels[padded[:, task.source :]] = IGNORED
    return inputs.numpy(), labels.numpy()


@cache
def data_of(kind) -> Data:
    task = OF[kind]
    arrays = Arrays(*samples(task, 40, 0), *samples(task, 10, 1), task.classes, task=task)
    return Data(kind, "0" * 64, arrays)


@pytest.fixture(scope="module")
def cell_of(make_cell):
    def cell(kind, **changes):
        given = {
            "family": "transformer", "options": {"layers": 1, "heads": 2}, "width": 8, "dataset": kind,
            "dataset_digest": "0" * 64, "train_size": 36, "validation_size": 4, "batch_size": 16,
            "crop_padding": 0, "precision": "float64", "epochs": 2,
        }  # fmt: skip
        return make_cell(**{**given, **changes})

    return cell


def trained(cell, how=None, seeds=SEEDS):
    runs = [Run(cell=cell, seed=seed) for seed in seeds]
    return train(runs, data_of(cell.dataset), stepping=how, keep_weights=True)


@pytest.fixture(scope="module")
def alone(cell_of):
    return cache(lambda kind: [trained(cell_of(kind), seeds=[seed])[0] for seed in SEEDS])


@every_kind
@pytest.mark.parametrize("how", HOW)
def test_every_way_gives_the_members_that_are_trained_alone(kind, how, cell_of, alone):
    for one, other in zip(trained(cell_of(kind), how), alone(kind), strict=True):
        assert one.weights.keys() == other.weights.keys()
        for name, tensor in other.weights.items():
            np.testing.assert_allclose(one.weights[name], tensor, rtol=0, atol=1e-8, err_msg=name)
        np.testing.assert_allclose(one.test_logits, other.test_logits, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(one.train_loss, other.train_loss, rtol=1e-6)


@every_kind
def test_a_way_without_a_members_own_masks_is_refused_dropout(kind, cell_of):
    from ensembudget.stepping.check import faults

    recipe = cell_of(kind, dropout=0.1).recipe
    for way in WAYS:
        wrong = faults(Stepping(pack=3, way=way), recipe, "cpu", recorded=False)
        assert bool(wrong) == (way != "grouped")


@every_kind
def test_dropout_gives_the_members_that_are_trained_alone(kind, cell_of):
    cell = cell_of(kind, dropout=0.2)
    for one, seed in zip(trained(cell), SEEDS, strict=True):
        (other,) = trained(cell, seeds=[seed])
        np.testing.assert_allclose(one.test_logits, other.test_logits, rtol=1e-5, atol=1e-5)


@every_kind
def test_bfloat16_trains_to_about_the_same_loss(kind, cell_of):
    changes = {"epochs": 6, "train_size": 16, "learning_rate": 0.05}
    exact, rough = (
        trained(cell_of(kind, precision=precision, **changes), seeds=[0])[0]
        for precision in ("float32", "bfloat16")
    )
    assert exact.train_loss[-1] < 0.95 * exact.train_loss[0]
    np.testing.assert_allclose(rough.train_loss, exact.train_loss, rtol=0.05)
    assert (rough.train_loss != exact.train_loss).any()
