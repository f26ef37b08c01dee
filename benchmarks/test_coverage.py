"""Whether intervals cover the truth, and how often verdicts are wrong: simulations whose truth is known.

Command: pytest benchmarks/test_coverage.py -s
Writes its tables to --out (default: tables/coverage). Needs no store and trains nothing.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.coverage import predictions
from ensembudget.rendering.write import open_folder, write_rows
from ensembudget.tables._base import Row, Table


@pytest.fixture(scope="module")
def out(request: pytest.FixtureRequest) -> Path:
    return open_folder(request.config.getoption("--out") or "tables/coverage")


def publish(out: Path, table: Table, rows: Sequence[Row], notes: Sequence[str] = ()) -> None:
    write_rows(out, table, rows, notes)
    print("\n" + (out / f"{table.name}.md").read_text())


def test_predictions_beyond_the_widest_width(out: Path) -> None:
    rows = [predictions.row_of(kind) for kind in predictions.TRUTHS]
    publish(out, predictions.TABLE, rows)
    assert all(float(str(row["covered_ok"])) >= 0.8 for row in rows)
    assert float(str(rows[0]["ok"])) >= 0.8  # where the law holds: a tool that never says ok is no use
