"""What a large store takes: `status`, a `run` with nothing missing, and the reading part of a report.

pytest benchmarks/test_scale.py -s

Stores of 1,250 to 10,000 small members with real files. Seconds are processor time of this machine; what
travels is that they grow in proportion to members. `status` is a whole command, and what Python and its
imports take is said apart: the same command on a store of one member a pool.
"""

import os
import sys
import time
from pathlib import Path

from benchmarks.publishing import machine, publish
from ensembudget.scoring.pools import pools_of
from ensembudget.store import Store
from ensembudget.studies import load_study
from ensembudget.tables._base import Column, Table
from ensembudget.verbs.missing import lacking, missing_runs

OUT = "report/scale"
ROOT = Path(__file__).parents[1]
SIZES = 1250, 2500, 5000, 10_000
FEWEST = 20
STATUS_SECONDS = 3.0  # of processor time for 10,000 members

STUDY = """
name = "large"
description = ""
family = "wide_resnet"
dataset = "digits"
widths = [1]
"""

TABLE = Table(
    "scale",
    "What a large store takes, processor seconds",
    (
        Column("members", "members", ",d"),
        Column("status", "status", ".2f"),
        Column("status_megabytes", "MB of status at most", ".0f"),
        Column("imports", "of it Python and imports", ".2f"),
        Column("nothing_missing", "finding nothing missing", ".2f"),
        Column("reading", "reading of a report", ".2f"),
    ),
)


def child(*arguments: str | Path) -> tuple[float, float]:
    """Processor seconds and greatest megabytes of a Python of its own."""
    reads, writes = os.pipe()
    pid = os.fork()
    if not pid:
        os.dup2(writes, 1)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        os.execve(sys.executable, [sys.executable, *map(str, arguments)], environment)
    os.close(writes)
    with os.fdopen(reads) as said:
        said.read()
    _, code, used = os.wait4(pid, 0)
    assert code == 0
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3


def processor_seconds(work) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def filled(root: Path, size: int, study: Path) -> Store:
    child(ROOT / "tests" / "faults" / "large_store.py", root, str(size), study)
    return Store(root)


def test_scale(tmp_path: Path, out: Path) -> None:
    study, rows = tmp_path / "large.toml", []
    study.write_text(STUDY)
    filled(tmp_path / "few", FEWEST, study)
    imports, _ = child("-m", "ensembudget", "status", study, "--store", tmp_path / "few")
    for size in SIZES:
        store = filled(tmp_path / str(size), size, study)
        planned = store.saved_plan(load_study(study))
        assert planned is not None
        status, megabytes = child("-m", "ensembudget", "status", study, "--store", store.root)
        nothing = processor_seconds(lambda p=planned, s=store: (lacking(p, s), missing_runs(p, s)))
        reading = processor_seconds(lambda p=planned, s=store: pools_of(p, s))
        rows.append(
            {
                "members": size,
                "status": status,
                "status_megabytes": megabytes,
                "imports": imports,
                "nothing_missing": nothing,
                "reading": reading,
            }
        )
    publish(out, TABLE, rows, [machine()])
    assert rows[-1]["status"] - imports <= STATUS_SECONDS
    growth = SIZES[-1] / SIZES[0]
    for what in ("nothing_missing", "reading"):
        assert rows[-1][what] / rows[0][what] < 1.75 * growth
