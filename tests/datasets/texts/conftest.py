"""A cache of each test's own, and the small CLINC150."""

from pathlib import Path

import pytest

from ensembudget.datasets._data import Data
from ensembudget.datasets._load import load
from text_worlds import clinc


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBUDGET_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def queries(tmp_path: Path) -> Data:
    return load(clinc(tmp_path / "clinc"), vocabulary=60, length=12)
