"""A table before it is formatted: its visible columns, and the text of every cell."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from rich.cells import cell_len

from ..tables._base import Column, Row, Table, Value

DASH = "\N{EN DASH}"
STAR = "★"
GAP = 2  # characters between columns
WIDEST = 32  # characters of text, beyond which a cell may be broken into lines


class Written(NamedTuple):
    """One value.

    Attributes:
        value: What to sort by; None where it is missing, or means nothing.
        text: The value as it is written.
        ends: Its interval in brackets, "" without one.
        star: Whether it marks the best row.
    """

    value: Value
    text: str
    ends: str = ""
    star: bool = False

    @property
    def whole(self) -> str:
        """All of it, on one line."""
        return " ".join(part for part in (self.text, self.ends, STAR * self.star) if part)


@dataclass(frozen=True)
class Seen:
    """The visible part of a table.

    Attributes:
        columns: From left to right.
        lines: A row's cells each, in the order of the columns.
        best: "best", "tie" or another word where a row stands against the best one, else "".
        hidden: Columns that had no place.
    """

    columns: tuple[Column, ...]
    lines: tuple[tuple[Written, ...], ...]
    best: tuple[str, ...]
    hidden: tuple[Column, ...] = ()

    @property
    def has_gaps(self) -> bool:
        return any(cell.value is None for line in self.lines for cell in line)


def shown(table: Table, rows: Sequence[Row]) -> Seen:
    """Every column that is meant for readers and has a value in some row."""
    columns = tuple(
        c for c in table.columns if c.heading and any(row.get(c.name) is not None for row in rows)
    )
    return Seen(
        columns,
        tuple(tuple(_cell(table, column, row) for column in columns) for row in rows),
        tuple(str(row.get("best") or "") for row in rows),
    )


def fitted(table: Table, rows: Sequence[Row], width: int) -> Seen:
    """The columns that fit into a width: chosen by importance, in the order of the table.

    Args:
        table: its `summary` comes first, then the others where all of it has a place.
        rows: As read from its CSV.
        width: Characters.

    Example:
        >>> from ensembudget.tables import memory_split
        >>> rows = [{"budget": 15_500, "members": 2, "width": 5, "cnll": 0.5, "groups": 4}]
        >>> [column.heading for column in fitted(memory_split.table, rows, 20).columns]
        ['budget', 'n', 'CNLL']
    """
    whole = shown(table, rows)
    place = {column.name: at for at, column in enumerate(whole.columns)}
    first = [name for name in table.summary if name in place]
    others = [name for name in place if name not in first]
    kept: list[int] = []
    left = width + GAP
    for names in (first, others):
        for name in names:
            need = column_width(whole, place[name]) + GAP
            if need <= left:
                kept.append(place[name])
                left -= need
        if len(kept) < len(first):
            break
    # One column at least, however narrow the screen.
    return _only(whole, sorted(kept or range(len(whole.columns))[:1]))


def below(table: Table, seen: Seen, notes: Sequence[str]) -> list[str]:
    """The notes below a table: its rules, its notes, and what a dash means if there is one."""
    gaps = [f"{DASH} marks a missing value, never zero."] if seen.has_gaps else []
    return [*table.rules, *notes, *gaps]


def column_width(whole: Seen, at: int) -> int:
    """Characters that a column needs, its heading broken into words."""
    column = whole.columns[at]
    cells = max((cell_len(line[at].whole) for line in whole.lines), default=0)
    if not column.form:
        cells = min(cells, WIDEST)
    return max(cells, *(cell_len(word) for word in column.heading.split()))


def heading_lines(heading: str, width: int) -> list[str]:
    """A heading in lines of at most a width."""
    return textwrap.wrap(heading, width, break_long_words=False, break_on_hyphens=False)


def _only(whole: Seen, kept: Sequence[int]) -> Seen:
    return replace(
        whole,
        columns=tuple(whole.columns[at] for at in kept),
        lines=tuple(tuple(line[at] for at in kept) for line in whole.lines),
        hidden=tuple(column for at, column in enumerate(whole.columns) if at not in kept),
    )


def _cell(table: Table, column: Column, row: Row) -> Written:
    value = row.get(column.name)
    if value is None or (column.name in table.void and table.refused(row)):
        return Written(None, DASH)
    low, high = row.get(f"{column.name}_low"), row.get(f"{column.name}_high")
    ends = ""
    if column.interval and low is not None and high is not None:
        ends = f"[{_written(low, column.form)}, {_written(high, column.form)}]"
    star = column.name == table.marked and row.get("best") == "best"
    return Written(value, _written(value, column.form), ends, star)


def _written(value: str | int | float, form: str) -> str:
    if not form or isinstance(value, str):
        return str(value)
    return format(round(value) if form.endswith("d") else value, form)
