"""Prints results: as wide as the screen, in colour where the terminal has it."""

import json
import os
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from ..errors import visible
from ..rendering.cells import GAP, WIDEST, Seen, column_width, fitted, heading_lines, shown
from ..rendering.render import to_csv
from ..tables._base import Row, Table

PIPED = 120  # characters of a line where there is no screen
ALL = "all"
# Of rows by how they stand against the best one, and of words that stand alone.
ROWS = {"best": "bold green", "tie": "yellow"}
WORDS = {"better": "green", "worse": "red", "tie": "yellow"}


def print_rows(table: Table, rows: Sequence[Row], kind: str = "table", columns: str = "fit") -> None:
    """Prints a table in the format and columns chosen by `--format` and `--columns`.

    Args:
        table: Its columns.
        rows: As its CSV has them.
        kind: table, csv or json.
        columns: "fit" for those that the screen has place for, "all" for all.
    """
    if kind == "json":
        print(json.dumps(rows, indent=1))
    elif kind == "csv":
        print(to_csv(table, rows), end="")
    else:
        _print_grid(table, rows, columns)


def print_lines(lines: Iterable[str]) -> None:
    """Prints sentences, wrapped at the edge of a terminal and unwrapped elsewhere."""
    out = _console()
    for line in lines:
        out.print(Text(visible(line)), soft_wrap=not out.is_terminal)


def _console() -> Console:
    """Standard output; rich finds out its width and colours, and heeds NO_COLOR and COLUMNS."""
    out = Console(highlight=False)
    return out if out.is_terminal or "COLUMNS" in os.environ else Console(highlight=False, width=PIPED)


def _print_grid(table: Table, rows: Sequence[Row], columns: str) -> None:
    out = _console()
    seen = shown(table, rows) if columns == ALL else fitted(table, rows, out.width)
    print_lines([table.summary_title or table.title])
    if columns == ALL:
        out.width = max(out.width, sum(column_width(seen, at) + GAP for at in range(len(seen.columns))))
    out.print(_grid(seen))
    if seen.hidden:
        out.print(Text(_more(seen, out.width), "dim"), soft_wrap=True)
    out.print()


def _grid(seen: Seen) -> Grid:
    grid = Grid(box=None, padding=(0, GAP, 0, 0), pad_edge=False)
    for at, column in enumerate(seen.columns):
        width, number = column_width(seen, at), bool(column.form)
        grid.add_column(
            Text("\n".join([*heading_lines(visible(column.heading), width), "─" * width])),
            justify="right" if number else "left",
            vertical="top",
            width=width,
            no_wrap=number or width < WIDEST,
        )
    for line, best in zip(seen.lines, seen.best, strict=True):
        words = (Text(visible(cell.whole), WORDS.get(cell.text, "")) for cell in line)
        grid.add_row(*words, style=ROWS.get(best))
    return grid


def _more(seen: Seen, width: int) -> str:
    """One line that names the columns that did not fit."""
    text = "More with --columns all: "
    names = [column.heading for column in seen.hidden]
    for count in range(len(names), 0, -1):
        rest = f" and {len(names) - count} more" if count < len(names) else ""
        line = f"{text}{'; '.join(names[:count])}{rest}."
        if len(line) <= width:
            return line
    return f"{len(names)} more: --columns all"


def print_tables(
    tables: Sequence[tuple[Table, Sequence[Row]]], kind: str = "table", columns: str = "fit"
) -> None:
    """Prints several tables: all of them, the first alone as csv, or one JSON object by name."""
    if kind == "json":
        print(json.dumps({table.name: list(rows) for table, rows in tables}, indent=1))
        return
    for table, rows in tables[:1] if kind == "csv" else tables:
        print_rows(table, rows, kind, columns)


def duration(seconds: float) -> str:
    """Seconds in words, such as 3 minutes.

    >>> duration(5), duration(75), duration(7300)
    ('5 s', '1 min 15 s', '2 h 01 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
