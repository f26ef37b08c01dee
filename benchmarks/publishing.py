"""Writes a benchmark's table in every format, and prints it; says on what machine it was measured."""

import os
from collections.abc import Sequence
from pathlib import Path

from ensembudget.rendering.write import write_rows
from ensembudget.tables._base import Row, Table


def machine() -> str:
    """How many cores, and whether they multiply bfloat16 themselves."""
    facts = Path("/proc/cpuinfo")
    native = facts.exists() and "avx512_bf16" in facts.read_text()
    return f"{len(os.sched_getaffinity(0))} cores, {'with' if native else 'without'} AVX512-BF16."


def publish(out: Path, table: Table, rows: Sequence[Row], notes: Sequence[str] = ()) -> None:
    write_rows(out, table, rows, notes)
    print("\n" + (out / f"{table.name}.md").read_text())
