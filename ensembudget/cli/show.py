"""How answers are printed."""

import json
from collections.abc import Sequence

from ..rendering.render import render, to_csv
from ..tables._base import Row, Table


def print_rows(table: Table, rows: Sequence[Row], kind: str = "table") -> None:
    """A table as `--format` asks: table, csv or json."""
    if kind == "json":
        print(json.dumps(rows, indent=1))
    elif kind == "csv":
        print(to_csv(table, rows), end="")
    else:
        print(render(table, rows, "txt"))


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(5), duration(75), duration(7300)
    ('5 s', '1 min 15 s', '2 h 01 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
