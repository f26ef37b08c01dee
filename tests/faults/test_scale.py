"""A store of many members: work on it grows in proportion, reads each once, and needs no torch."""

import os
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
from large_store import fill
from small_members import CELL

from ensembudget.records import ProbeChoice, Run
from ensembudget.records._base import content_key
from ensembudget.records.cell import member_key
from ensembudget.scoring.pools import pools_of
from ensembudget.store import Store, members
from ensembudget.verbs.evaluate import evaluate
from ensembudget.verbs.missing import lacking, missing_runs
from ensembudget.verbs.status import status
from helpers import ROOT

STUDY = """
name = "large"
description = ""
family = "wide_resnet"
dataset = "digits"
widths = [1]
"""
WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # importing it fails
from ensembudget.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def study(tmp_path):
    (tmp_path / "large.toml").write_text(STUDY)
    return tmp_path / "large.toml"


def cpu(work, times=3):
    """The least processor time of some tries, s."""
    found = []
    for _ in range(times):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


@pytest.mark.slow
def test_work_grows_no_faster_than_members(tmp_path, study, times, attacked):
    sizes, took = [times * size for size in (620, 1240, 2480)], {}
    for size in sizes:
        plan, store = fill(tmp_path / str(size), size, study), Store(tmp_path / str(size))
        works = {
            "status": lambda p=plan, s=store: status(p, s),
            "nothing missing": lambda p=plan, s=store: (lacking(p, s), missing_runs(p, s)),
            "reading of a report": lambda p=plan, s=store: pools_of(p, s),
        }
        for what, work in works.items():
            took[what, size] = cpu(work)
    for what in works:
        # Four times the members: 4 where work is in proportion, 16 where it is in its square.
        assert took[what, sizes[-1]] / took[what, sizes[0]] < 7, took
    said = f"a store of {sizes[0]:,} to {sizes[-1]:,} members read in proportion to their number"
    attacked("P1", said, sum(sizes))


def test_status_reads_no_logits_and_little_at_a_time(tmp_path, study, monkeypatch):
    plan, store = fill(tmp_path / "store", 400, study), Store(tmp_path / "store")
    opened, read = os.open, []
    monkeypatch.setattr(os, "open", lambda path, *how: read.append(str(path)) or opened(path, *how))
    monkeypatch.setattr(members, "facts", None)
    tracemalloc.start()
    rows = status(plan, store)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sorted(Counter(read).values()) == [1] * 400
    assert {Path(path).name for path in read} == {"member.json"}
    assert [(row.done, row.diverged, row.failed, row.seconds_each) for row in rows] == [(20, 0, 0, 1.25)] * 20
    assert most < 4e6  # bytes; all descriptions would be ten times as much were the store ten times as large


def test_status_needs_no_torch(tmp_path, study):
    fill(tmp_path / "store", 20, study)
    path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "status", study, "--store", tmp_path / "store"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        check=False,
        text=True,
    )
    assert said.returncode == 0, said.stderr
    assert "0 of 20 members to train" in said.stdout


def test_status_notices_a_damaged_description_and_names_the_member(tmp_path, study):
    plan, store = fill(tmp_path / "store", 20, study), Store(tmp_path / "store")
    key = plan.cells[0].runs[0].key
    path = store.root / "members" / key[:2] / key / "member.json"
    path.write_bytes(path.read_bytes().replace(b"1.25", b"2.25"))
    with pytest.raises(Exception, match=f"{key}.*is damaged"):
        status(plan, store)


def test_evaluating_a_study_with_probes_reads_every_member_once(tmp_path, study, monkeypatch):
    plan, store = fill(tmp_path / "store", 40, study), Store(tmp_path / "store")
    asked = plan.study.model_copy(update={"probes": [ProbeChoice(kind="line")], "keep_weights": True})
    some = plan.model_copy(update={"study": asked, "cells": plan.cells[:2]})
    seen: Counter[str] = Counter()
    checked = members.checked

    def counted(folder, key):
        seen[key] += 1
        return checked(folder, key)

    monkeypatch.setattr(members, "checked", counted)
    monkeypatch.setattr(Store, "briefs", None)
    evaluate(some, store, allow_partial=True)
    assert seen == Counter(run.key for run in some.runs)


def test_what_is_lacking_is_counted_as_by_one_run_at_a_time(tmp_path, study):
    plan, store = fill(tmp_path / "store", 40, study), Store(tmp_path / "store")
    larger = plan.model_copy(update={"cells": [one.model_copy(update={"members": 5}) for one in plan.cells]})
    for keep in (False, True):
        asked = larger.model_copy(update={"study": plan.study.model_copy(update={"keep_weights": keep})})
        found, missing = lacking(asked, store), missing_runs(asked, store)
        assert sum(one.missing for one in found) == sum(run.key not in store for run in missing) == 60
        assert sum(one.again for one in found) == sum(run.key in store for run in missing) == 40 * keep


def test_a_plan_of_a_million_members_is_counted_without_making_them(tmp_path, study, monkeypatch):
    plan = fill(tmp_path / "other", 20, study)
    large = plan.model_copy(
        update={"cells": [one.model_copy(update={"members": 50_000}) for one in plan.cells]}
    )
    monkeypatch.setattr(Run, "__init__", None)
    assert large.members == 10**6
    assert [one.missing for one in lacking(large, Store(tmp_path / "none"))] == [50_000] * 20


@pytest.mark.parametrize("seed", [0, 7, 10**6, 2**53 - 1])
def test_the_key_of_a_member_is_the_digest_of_canonical_json(seed):
    assert member_key(CELL.key, seed) == content_key({"cell": CELL.key, "seed": seed})
    assert Run(cell=CELL, seed=seed).key == member_key(CELL.key, seed)
