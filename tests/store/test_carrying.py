"""Members go from one store to another as bytes by name, and only under names that a store has."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensembudget.errors import StoreError
from ensembudget.records import Run
from ensembudget.store import Store
from ensembudget.store.carrying import NAME, carried, published, unpack
from helpers import CELL, publish, trained_as

RUNS = [Run(cell=CELL, seed=seed) for seed in range(3)]
KEYS = [run.key for run in RUNS]


@pytest.fixture
def store(tmp_path) -> Store:
    store = Store(tmp_path / "store")
    for run in RUNS:
        publish(store, trained_as(run, np.full((4, 2), run.seed, np.float32)), np.array([0, 1, 0, 1]))
    return store


def files(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.glob("members/**/*") if p.is_file()}


def test_what_is_carried_is_the_folders_of_these_members_and_no_others(store):
    found = carried(store.root, KEYS[:2])
    assert found == {name: content for name, content in files(store.root).items() if KEYS[2] not in name}
    assert carried(store.root, ["0" * 64]) == {}


def test_members_that_were_carried_are_members(store, tmp_path):
    unpack(tmp_path / "there", carried(store.root, KEYS))
    assert {one.outcome for one in Store(tmp_path / "here").merge(Store(tmp_path / "there"))} == {"new"}
    assert files(tmp_path / "here") == files(store.root)


def test_what_was_published_is_all_but_what_was_laid_there_a_folder_at_a_time(store, tmp_path):
    there = tmp_path / "there"
    unpack(there, carried(store.root, KEYS))
    (there / "probes").mkdir()
    (there / "probes" / ".being-written").write_text("")
    sent = [*published(there, carried(store.root, KEYS[:1]))]
    assert len(sent) == 2
    assert sent[0] | sent[1] == carried(store.root, KEYS[1:])


HOSTILE = [
    "store.json",
    "/etc/passwd",
    "../store.json",
    "probes/../store.json",
    "probes/..",
    "probes/.hidden",
    "probes/a/b",
    "probes/a\n",
    "plans/x.json",
    "tmp/x",
    f"members/aa/{'a' * 64}/../../../x",
    f"members/aa/{'a' * 63}/x",
    f"members/aa/{'A' * 64}/x",
    f"members/aa/{'a' * 64}/b/c",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_no_store_has_is_refused_and_nothing_written(name, tmp_path):
    with pytest.raises(StoreError, match="no file of a member or a probe"):
        unpack(tmp_path / "there", {f"members/aa/{'a' * 64}/fine": b"", name: b""})
    assert not (tmp_path / "there").exists()


@given(st.from_regex(NAME, fullmatch=True))
def test_a_name_that_is_taken_stays_in_the_store(name):
    root = Path("/store")
    assert (root / name).resolve().is_relative_to(root)
    assert Path(name).parts[0] in ("members", "artefacts", "probes")
