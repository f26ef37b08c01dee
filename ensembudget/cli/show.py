"""Prints tables: those of the command line's own, and those of a report."""

import json
from collections.abc import Sequence
from pathlib import Path

from ..records import Plan, Split
from ..rendering.render import from_csv, render, to_csv
from ..rendering.write import notes_of, report
from ..store import Store
from ..tables import arms, memory_split
from ..tables._base import Column, Row, Table
from ..verbs.evaluate import evaluate
from .values import read_costs

SPLITS = Table(
    "plan",
    "Splits",
    (
        Column("arm", "arm"),
        Column("budget_kind", "of"),
        Column("budget", "budget", ",d"),
        Column("members", "members", "d"),
        Column("width", "width", "d"),
        Column("parameters_per_member", "parameters each", ",d"),
        Column("parameters_total", "parameters", ",d"),
        Column("error_percent", "off budget, %", "+.2f"),
        Column("flops_per_sample", "FLOP/sample", ",d"),
        Column("bytes_total", "bytes", ",d"),
        Column("activations_per_sample", "activations", ",d"),
    ),
)

# What a screen shows of a table, and the sentences that say it in words.
SHORT = {"memory_split": memory_split.summary}
VERDICTS = {"memory_split": memory_split.verdicts, "arms": arms.verdicts}


def split_row(one: Split) -> Row:
    return {"arm": one.arm, **one.model_dump()} if one.arm else one.model_dump(exclude={"arm"})


def print_splits(splits: Sequence[Split]) -> None:
    print(render(SPLITS, [split_row(one) for one in splits], "txt"))


def print_rows(table: Table, rows: Sequence[Row], kind: str) -> None:
    """A table as `--format` asks: table, csv or json."""
    if kind == "json":
        print(json.dumps(rows, indent=1))
    elif kind == "csv":
        print(to_csv(table, rows), end="")
    else:
        print(render(table, rows, "txt"))


def print_report(planned: Plan, store: Store, out: Path, costs: str | None, *, allow_partial: bool) -> None:
    """Writes a report and prints its tables."""
    results = evaluate(planned, store, allow_partial=allow_partial)
    tables = report(results, out, read_costs(costs) if costs else None)
    for name, table in tables.items():
        # As a CSV has it: what is printed is what was written.
        rows = from_csv((out / f"{name}.csv").read_text())
        print(render(SHORT.get(name, table.table), rows, "txt"))
        if name in VERDICTS:
            print(*VERDICTS[name](rows), sep="\n", end="\n\n")
    if results.partial:
        print(*notes_of(results), sep="\n", end="\n\n")
    print(f"Tables, figures and manifest are in {out}.")
