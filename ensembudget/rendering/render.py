"""A table's CSV is the truth; everything that people read is rendered from it."""

import csv
import io
import re
from collections.abc import Sequence

from tabulate import tabulate

from ..errors import visible
from ..tables._base import Row, Table
from .cells import below, shown
from .latex import to_latex
from .web import to_html

KINDS = ("md", "tex", "html")

# Wide forms count too, and what is not seen before them: some spreadsheets pass over it.
_FORMULA = re.compile(r"[\s\u200b-\u200f\u2060\ufeff]*[=+@\-\uff1d\uff0b\uff0d\uff20]")
# What Markdown would make of text: a link or its definition, emphasis, mathematics. An interval may follow an
# interval, and a part's name has underscores, so brackets and underscores within words stay.
MORE, FEWER = "\0more", "\0fewer"  # no cell of a CSV: it is text without such characters
_MARKS = re.compile(r"(?<=\])\(|[*$]|~(?=~)|(?<![^\W_])_|_(?![^\W_])")
_BLOCK = re.compile(r"([#>+=~\[-]|[0-9]{1,9}(?=[.)](?:\s|$)))")  # what begins a block in a list's item


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
    """Rows as `to_csv` wrote them.

    Raises:
        ValueError: A row has more or fewer cells than the header, or a cell is too long.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), restkey=MORE, restval=FEWER))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    for number, row in enumerate(rows, 1):
        if MORE in row or FEWER in row.values():
            raise ValueError(f"row {number} has not as many cells as the header")
    return [{name: _value(cell) for name, cell in row.items()} for row in rows]


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
    cells = [[markdown(cell.whole) for cell in line] for line in seen.lines]
    headings = [markdown(column.heading) for column in seen.columns]
    align = ["right" if column.form else "left" for column in seen.columns]
    body = tabulate(
        cells, headings, tablefmt="github", colalign=align if cells else None, disable_numparse=True
    )
    lines = "\n".join(f"- {_item(line)}" for line in below(table, seen, notes))
    return f"### {markdown(table.title)}\n\n{body}\n\n{lines}\n"


def _inert(value: object) -> object:
    """A cell that no spreadsheet runs: text that begins as a formula does, after blanks, is quoted."""
    if not isinstance(value, str):
        return value
    text = "\r".join(map(visible, value.split("\r")))
    runs = _FORMULA.match(value) or text[:1] in ("\t", "\r")
    return f"'{text}" if runs else text


def _value(text: str) -> str | int | float | None:
    if re.fullmatch(r"-?[0-9]+", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?[0-9]+\.?[0-9]*(e[+-]?[0-9]+)?", text) else text or None


def markdown(text: str, *, code: bool = False) -> str:
    r"""Text that Markdown shows as it is, in one line.

    Args:
        text: Of anybody.
        code: Whether code in back quotes stays code, as in the rules of tables.

    >>> print(markdown("[a](x) <b> | `c`"))
    [a]\(x) &lt;b> \| \`c\`
    """
    text = visible(" ".join(text.splitlines()))
    for plain, escaped in (("&", "&amp;"), ("\\", "\\\\"), ("|", "\\|"), ("<", "&lt;"), ("://", "&#58;//")):
        text = text.replace(plain, escaped)
    text = _MARKS.sub(lambda found: f"\\{found[0]}", text)
    return text if code else text.replace("`", "\\`")


def _item(text: str) -> str:
    """A line of a list, which begins no list, heading or block of code within it."""
    text = markdown(text.lstrip(), code=True)
    begun = _BLOCK.match(text)
    if not begun:
        return text.replace("```", "\\`\\`\\`", 1) if text.startswith("```") else text
    mark = begun[0]
    return f"{mark}\\{text[len(mark) :]}" if mark.isdigit() else f"\\{text}"
