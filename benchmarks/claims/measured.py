"""What is read from rows of a table: numbers, and a value with its interval."""

from typing import NamedTuple

from ensembudget.tables._base import Row

from .selecting import UnreadableError

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2


class Ends(NamedTuple):
    """Of an interval."""

    low: float
    high: float


class Measured(NamedTuple):
    """A value, and the ends of its interval or the reason why it has none."""

    value: float
    ends: Ends | None = None
    reason: str = ""


def number(row: Row, column: str) -> float:
    """A number of a row.

    Raises:
        UnreadableError: There is no such column, or no number in it.
    """
    if column not in row:
        raise UnreadableError(f"the table has no column {column!r}")
    value = row[column]
    if value is None or isinstance(value, str):
        raise UnreadableError(reason(row, f"the table has no {column} there"))
    return float(value)


def reason(row: Row, otherwise: str) -> str:
    """Why the table itself says that a row lacks something."""
    said = [row.get(column) for column in ("no_interval", "no_share", "status")]
    return next((str(one) for one in said if one not in (None, "ok")), otherwise)
