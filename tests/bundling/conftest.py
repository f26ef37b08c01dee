"""A small study whose members are made up: bundled once, and copied for those who change it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from bundles import LABELS, STUDY

from ensembudget.planning.plan import plan
from ensembudget.records import Plan
from ensembudget.store import Store
from ensembudget.verbs.bundle import bundle
from helpers import publish, trained_as


@pytest.fixture(scope="session")
def planned(digits) -> Plan:
    return plan(STUDY, digits.task, digest=digits.digest, dataset="digits", train_samples=1000)


@pytest.fixture(scope="session")
def store(planned, tmp_path_factory) -> Store:
    """Members that know the labels a little, each by itself; one has diverged."""
    made = Store(tmp_path_factory.mktemp("made") / "store")
    for number, run in enumerate(planned.runs):
        draws = np.random.default_rng(number)
        logits = draws.normal(size=(len(LABELS), 10)) + 2 * np.eye(10)[LABELS] * run.cell.width / 4
        fault = 3 if number == 5 else None
        publish(made, trained_as(run, logits.astype(np.float32), diverged_at=fault), LABELS)
    return made


@pytest.fixture(scope="session")
def sealed(planned, store, tmp_path_factory) -> Path:
    """The study's bundle; nobody changes it."""
    out = tmp_path_factory.mktemp("sealed") / "report"
    bundle(planned, store, out)
    return out


@pytest.fixture
def copy(sealed, tmp_path) -> Path:
    """A copy of the bundle, to be changed."""
    return Path(shutil.copytree(sealed, tmp_path / "copy"))
