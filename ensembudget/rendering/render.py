"""A table's CSV is the truth; everything that people read is rendered from it."""

import csv
import html
import io
import re
from collections.abc import Callable, Sequence

from tabulate import tabulate

from ..tables._base import Column, Row, Table

FORMATS = {"md": "github", "tex": "latex_raw", "html": "unsafehtml", "txt": "simple"}
_DASH = "\N{EN DASH}"
_TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        "★": r"$\star$", _DASH: "--", **{c: f"\\{c}" for c in "&%$#_{}"}}  # fmt: skip


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


def render(table: Table, rows: Sequence[Row], kind: str, notes: Sequence[str] = ()) -> str:
    """A table for people.

    Args:
        table: Its columns.
        rows: As read from its CSV.
        kind: `md`, `tex`, `html` or `txt`.
        notes: Sentences below the table, after the table's own rules.

    Returns:
        The whole document part: title, table, rules and notes.
    """
    columns = [c for c in table.columns if c.heading and any(row.get(c.name) is not None for row in rows)]
    escape = _ESCAPES.get(kind, str)
    cells = [[escape(_cell(table, column, row)) for column in columns] for row in rows]
    headings = [escape(column.heading) for column in columns]
    align = ["right" if column.form else "left" for column in columns]
    body = tabulate(
        cells, headings, tablefmt=FORMATS[kind], colalign=align if cells else None, disable_numparse=True
    )
    below = [*table.rules, *notes]
    if any(_DASH in cell for row in cells for cell in row) or kind == "tex":
        below.append(f"{_DASH} marks a missing value, never zero.")
    return _document(kind, escape(table.title), body, [escape(line) for line in below])


def _cell(table: Table, column: Column, row: Row) -> str:
    value = row.get(column.name)
    void = column.name in table.void and table.refused(row)
    if value is None or void:
        return _DASH
    text = _written(value, column.form)
    low, high = row.get(f"{column.name}_low"), row.get(f"{column.name}_high")
    if column.interval and low is not None and high is not None:
        text += f" [{_written(low, column.form)}, {_written(high, column.form)}]"
    return text + " ★" * (column.name == table.marked and row.get("best") == "best")


def _written(value: str | int | float, form: str) -> str:
    if not form or isinstance(value, str):
        return str(value)
    return format(round(value) if form.endswith("d") else value, form)


def _document(kind: str, title: str, body: str, below: Sequence[str]) -> str:
    if kind == "md":
        return f"### {title}\n\n{body}\n\n" + "\n".join(f"- {line}" for line in below) + "\n"
    if kind == "tex":
        notes = "\\\\\n".join(below)
        return (
            f"% Needs \\usepackage{{graphicx}}.\n\\begin{{table}}\n\\caption{{{title}}}\n"
            f"\\resizebox{{\\textwidth}}{{!}}{{%\n{body}}}\n"
            f"\\par\\footnotesize\n{notes}\n\\end{{table}}\n"
        )
    if kind == "html":
        notes = "\n".join(f"<li>{line}</li>" for line in below)
        return f"<h3>{title}</h3>\n{body}\n<ul>\n{notes}\n</ul>\n"
    return f"{title}\n\n{body}\n"


def _inert(value: object) -> object:
    runs = isinstance(value, str) and value.lstrip()[:1] in ("=", "+", "-", "@")
    return f"'{value}" if runs or (isinstance(value, str) and value[:1] in ("\t", "\r")) else value


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())


def _value(text: str) -> str | int | float | None:
    if re.fullmatch(r"-?[0-9]+", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?[0-9]+\.?[0-9]*(e[+-]?[0-9]+)?", text) else text or None


def _escape_tex(text: str) -> str:
    escaped = "".join(_TEX.get(c, c) for c in _one_line(text))
    # At the start of a row these would be read as an argument of the line break before.
    return f"{{{escaped[0]}}}{escaped[1:]}" if escaped[:1] in ("[", "*") else escaped


def _escape_markdown(text: str) -> str:
    for plain, escaped in (("&", "&amp;"), ("\\", "\\\\"), ("|", "\\|"), ("<", "&lt;")):
        text = text.replace(plain, escaped)
    return _one_line(text)


_ESCAPES: dict[str, Callable[[str], str]] = {
    "tex": _escape_tex,
    "html": html.escape,
    "md": _escape_markdown,
}
