"""Which rows of a table a claim is about."""

import operator
import re
from collections.abc import Iterable, Sequence

from ensembudget.tables._base import Row, Value

from .records import Where

COMPARED = {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le}


class UnreadableError(Exception):
    """A quantity that these tables do not hold; its message is the reason in the ledger."""


class NoRowError(UnreadableError):
    """The table has its columns, and no such row."""


def select(rows: Sequence[Row], where: Where) -> list[Row]:
    """The rows that meet every condition, each looked up among those that met the ones before it.

    >>> select([{"n": 1, "b": 5}, {"n": 2, "b": 5}, {"n": 2, "b": 9}], {"n": "> 1", "b": "largest"})
    [{'n': 2, 'b': 9}]
    """
    left = list(rows)
    for key, wanted in where.items():
        column = key.removesuffix("?")
        if not any(column in row for row in rows):
            if key.endswith("?"):
                continue
            raise UnreadableError(f"the table has no column {column!r}")
        left = _met(left, column, wanted)
        if not left:
            raise NoRowError(f"the table has no row with {_words(where)}")
    return left


def _met(rows: Sequence[Row], column: str, wanted: object) -> list[Row]:
    if wanted in ("smallest", "largest", "last"):
        known = [row[column] for row in rows if row[column] is not None]
        numbers = [value for value in known if isinstance(value, int | float)]
        chosen = known[-1] if wanted == "last" else min(numbers) if wanted == "smallest" else max(numbers)
        return [row for row in rows if row[column] == chosen]
    if wanted == "known":
        return [row for row in rows if row[column] is not None]
    if isinstance(wanted, list):
        return [row for row in rows if row[column] in wanted]
    if isinstance(wanted, str) and (found := re.fullmatch(r"([<>]=?) (\S+)", wanted)):
        compare, threshold = COMPARED[found[1]], float(found[2])
        pairs = ((row, row[column]) for row in rows)
        return [row for row, value in pairs if isinstance(value, int | float) and compare(value, threshold)]
    return [row for row in rows if row[column] == wanted]


def _words(where: Where) -> str:
    return ", ".join(f"{key.removesuffix('?')} {value}" for key, value in where.items())


def each(rows: Sequence[Row], columns: Iterable[str]) -> list[list[Row]]:
    """Rows by the values of those columns that the table has."""
    there = [name for name in columns if any(name in row for row in rows)]
    found: dict[tuple[Value, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row.get(name) for name in there), []).append(row)
    return list(found.values())
