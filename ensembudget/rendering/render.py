"""A table's CSV is the truth; everything that people read is rendered from it."""

import csv
import io
import re
from collections.abc import Sequence

from tabulate import tabulate

from ..tables._base import Row, Table
from .cells import below, shown
from .latex import to_latex
from .web import to_html

KINDS = ("md", "tex", "html")


def to_csv(table: Table, rows: Sequence[Row]) -> str:
    """Every column, numbers in full; text that a spreadsheet would run is made inert."""
    names = [name for name in table.names if any(name in row for row in rows)] or table.names
    lines = [[_inert(row.get(name)) for name in names] for row in rows]
    return _csv_line(names) + "".join(map(_csv_line, lines))


def _csv_line(cells: Sequence[object]) -> str:
    line = io.StringIO()
    # With this terminator both kinds of line break in a cell are quoted, in every Python.
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue().removesuffix("\r\n") + "\n"


def from_csv(text: str) -> list[Row]:
    """Rows as `to_csv` wrote them."""
    return [
        {name: _value(cell) for name, cell in row.items()}
        for row in csv.DictReader(io.StringIO(text, newline=""))
    ]


def render(table: Table, rows: Sequence[Row], kind: str, notes: Sequence[str] = (), study: str = "") -> str:
    """A table for people.

    Args:
        table: Its columns.
        rows: As read from its CSV.
        kind: `md`, `tex` or `html`.
        notes: Sentences below the table, after the table's own rules.
        study: The study it is of, which a caption names.

    Returns:
        The whole document part: title, table, rules and notes.
    """
    if kind == "tex":
        return to_latex(table, rows, notes, study)
    if kind == "html":
        return str(to_html(table, rows, notes))
    return _markdown(table, rows, notes)


def _markdown(table: Table, rows: Sequence[Row], notes: Sequence[str]) -> str:
    seen = shown(table, rows)
    cells = [[_escape(cell.whole) for cell in line] for line in seen.lines]
    headings = [_escape(column.heading) for column in seen.columns]
    align = ["right" if column.form else "left" for column in seen.columns]
    body = tabulate(
        cells, headings, tablefmt="github", colalign=align if cells else None, disable_numparse=True
    )
    lines = "\n".join(f"- {_escape(line)}" for line in below(table, seen, notes))
    return f"### {_escape(table.title)}\n\n{body}\n\n{lines}\n"


def _inert(value: object) -> object:
    runs = isinstance(value, str) and value.lstrip()[:1] in ("=", "+", "-", "@")
    return f"'{value}" if runs or (isinstance(value, str) and value[:1] in ("\t", "\r")) else value


def _value(text: str) -> str | int | float | None:
    if re.fullmatch(r"-?[0-9]+", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?[0-9]+\.?[0-9]*(e[+-]?[0-9]+)?", text) else text or None


def _escape(text: str) -> str:
    for plain, escaped in (("&", "&amp;"), ("\\", "\\\\"), ("|", "\\|"), ("<", "&lt;")):
        text = text.replace(plain, escaped)
    return " ".join(text.splitlines())
