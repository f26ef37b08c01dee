"""What every test shares: one thread, a cache of its own, the digits and a cell that trains in no time."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import helpers
from ensembudget.datasets._base import Data
from ensembudget.datasets._load import load
from ensembudget.records import Cell, Recipe

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The bytes that a test compares are of as many threads as it says, whichever tests were before it."""
    yield
    assert torch.get_num_threads() == 1


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where commands are run: empty, and without a store of the environment's."""
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    for name in ("ENSEMBUDGET_STORE", "ENSEMBUDGET_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)
    return cwd


@pytest.fixture
def command(folder: Path) -> Callable[..., helpers.Said]:
    """`command("plan", ...)` is one command in an empty folder: its exit code and what it printed."""
    return helpers.command


@pytest.fixture(scope="session")
def digits(cache: None) -> Data:
    return load("digits")


@pytest.fixture(scope="session")
def make_cell(digits: Data) -> Callable[..., Cell]:
    """`make_cell(width=8, epochs=5)` is the tiny cell with these fields of it, or of its recipe, changed."""

    def make(**changes) -> Cell:
        recipe = {
            "epochs": 2,
            "batch_size": 32,
            "learning_rate": 0.1,
            "weight_decay": 3e-4,
            "crop_padding": 1,
        }
        cell = {
            "family": "wide_resnet",
            "options": {"depth": 10},
            "width": 4,
            "dataset": "digits",
            "dataset_digest": digits.digest,
            "train_size": 100,
            "validation_size": 50,
            "mode": "bn_wd",
        }
        for name, value in changes.items():
            (recipe if name in Recipe.model_fields else cell)[name] = value
        return Cell(**cell, recipe=Recipe(**recipe))

    return make


@pytest.fixture
def tiny_cell(make_cell: Callable[..., Cell]) -> Cell:
    return make_cell()
