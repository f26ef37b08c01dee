"""Writes a benchmark's table in every format, and prints it."""

from collections.abc import Sequence
from pathlib import Path

from ensembudget.rendering.write import write_rows
from ensembudget.tables._base import Row, Table


def publish(out: Path, table: Table, rows: Sequence[Row], notes: Sequence[str] = ()) -> None:
    write_rows(out, table, rows, notes)
    print("\n" + (out / f"{table.name}.md").read_text())
