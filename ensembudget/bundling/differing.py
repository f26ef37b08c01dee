"""Where two files differ that should be one: cell by cell, value by value, or not at all."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ..catalog import TABLES
from ..errors import told
from ..tables._base import Column, Table

# Relative. Of numbers that no table prints: sums in another order differ by far less, another member by more.
UNPRINTED = 1e-6


@dataclass(frozen=True)
class Difference:
    """One value that is not what it should be.

    Attributes:
        file: The file that says it.
        place: Where in it: a row and a column, a path or a line.
        published: What it says.
        computed: What it should say.
        alike_as_printed: Whether tables print both alike; of a number that none prints, whether they agree
            to one part in a million.
    """

    file: str
    place: str
    published: str
    computed: str
    alike_as_printed: bool = False

    def __str__(self) -> str:
        return f"{self.file}, {self.place}: published {told(self.published)}, computed {told(self.computed)}"


def table_differences(name: str, published: str | Path, computed: str | Path) -> list[Difference]:
    r"""Every cell in which two CSV files of one table differ, as strings.

    Args:
        name: The table's.
        published: Text of the CSV that was published, or its path.
        computed: Text of the one that it should be, or its path.

    Example:
        >>> str(*table_differences("scores", "nll\n0.5\n", "nll\n0.25\n"))
        "scores.csv, row 1, column nll: published '0.5', computed '0.25'"
    """
    mine, its = (one.read_text() if isinstance(one, Path) else one for one in (published, computed))
    if mine == its:
        return []
    return [*_cells(f"{name}.csv", _forms(name), mine, its)] or [
        Difference(f"{name}.csv", "bytes", "the same cells in other bytes", "as ensembudget writes")
    ]


def _cells(file: str, forms: dict[str, str], mine: str, its: str) -> Iterator[Difference]:
    (head, *rows), (wanted, *lines) = (_lines(text) or [[]] for text in (mine, its))
    if head != wanted:
        yield Difference(file, "header", ",".join(head), ",".join(wanted))
        return
    if len(rows) != len(lines):
        yield Difference(file, "number of rows", f"{len(rows)}", f"{len(lines)}")
    for number, (row, line) in enumerate(zip(rows, lines, strict=False), 1):
        for column, value, other in zip_longest(head, row, line, fillvalue=""):
            if value != other:
                alike = printed_alike(value, other, forms.get(column, ""))
                yield Difference(file, f"row {number}, column {column}", value, other, alike)


def _lines(text: str) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        return [[f"no CSV: {error}"]]


def _forms(name: str) -> dict[str, str]:
    """How a table prints its numbers, by the names of its CSV's columns."""
    table: Table | None = TABLES.usable().get(name)
    columns: Sequence[Column] = table.columns if table else ()
    return {one: column.form for column in columns if column.heading for one in column.names}


def printed_alike(one: str, other: str, form: str = "") -> bool:
    """Whether two numbers are the same to a reader of the table.

    Args:
        one: As a CSV has it.
        other: Likewise.
        form: How the table prints it; "" where it does not.

    Example:
        >>> printed_alike("0.50001", "0.50002", ".4f"), printed_alike("0.50001", "0.50002")
        (True, False)
    """
    try:
        first, second = float(one), float(other)
        if form:
            texts = [format(round(x) if form.endswith("d") else x, form) for x in (first, second)]
            return texts[0] == texts[1]
    except (ValueError, OverflowError):
        return False
    return abs(first - second) <= UNPRINTED * max(abs(first), abs(second))


def value_differences(file: str, published: Any, computed: Any, place: str = "") -> Iterator[Difference]:
    """Every value in which two JSON documents differ, by its path."""
    if isinstance(published, dict) and isinstance(computed, dict):
        for name in [*published, *(one for one in computed if one not in published)]:
            inner = f"{place}.{name}" if place else str(name)
            yield from value_differences(file, published.get(name), computed.get(name), inner)
    elif isinstance(published, list) and isinstance(computed, list) and len(published) == len(computed):
        for number, (one, other) in enumerate(zip(published, computed, strict=True)):
            yield from value_differences(file, one, other, f"{place}[{number}]")
    elif published != computed or type(published) is not type(computed):
        mine, its = json.dumps(published), json.dumps(computed)
        yield Difference(file, place, mine, its, printed_alike(mine, its))


def text_differences(file: str, published: str, computed: str) -> list[Difference]:
    """The first line in which two texts differ, and how many do."""
    if published == computed:
        return []
    mine, its = published.split("\n"), computed.split("\n")
    pairs = list(enumerate(zip_longest(mine, its, fillvalue=""), 1))
    wrong = [(number, one, other) for number, (one, other) in pairs if one != other]
    number, one, other = wrong[0]
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
    cut = slice(max(0, start - 40), start + 60)
    return [Difference(file, f"line {number} ({len(wrong)} lines differ)", one[cut], other[cut])]
