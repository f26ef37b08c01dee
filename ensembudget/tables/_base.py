"""What a table is: columns that each read one value from a record, and the rules behind its numbers."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..records import Interval

Value = str | int | float | None
PARTIAL = "PARTIAL"  # what every file of a report says that lacks members
Row = dict[str, Value]  # one line of a CSV


def read(record: Any, path: str) -> Any:
    """The value at a path of attributes; None where one on the way is None.

    >>> read(Interval(value=2.0), "value"), read(Interval(value=2.0), "low.value")
    (2.0, None)
    """
    for name in path.split("."):
        if record is None:
            return None
        record = getattr(record, name)
    return record


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: In the CSV; the ends of an interval are `name_low` and `name_high`.
        heading: What people read; "" for a column that only the CSV has.
        form: A format specification for numbers; "" for text.
        interval: Whether the CSV has columns for the ends of an interval.
        get: Where a record has the value or `Interval`: a path of attributes, as "split.width", which gives
            None where one on the way is None; or a function of the record. None reads the attribute `name`.
        optional: Whether the column is left out of the CSV where no record has a value.
    """

    name: str
    heading: str = ""
    form: str = ""
    interval: bool = False
    get: str | Callable[[Any], Value | Interval] | None = None
    optional: bool = False

    @property
    def names(self) -> list[str]:
        ends = [f"{self.name}_low", f"{self.name}_high"] if self.interval else []
        return [self.name, *ends]

    def cells(self, record: Any) -> Row:
        """This column's part of a record's row."""
        value = self.get(record) if callable(self.get) else read(record, self.get or self.name)
        if not isinstance(value, Interval):
            return dict.fromkeys(self.names) | {self.name: value}
        return dict(zip(self.names, (value.value, value.low, value.high), strict=False))


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: The stem of its files; a table that is a part has the name of its module.
        title: What people read.
        columns: In order.
        rules: Sentences below every table: how its numbers came about.
        marked: The column in which the best row wears a star.
        void: Columns that mean nothing in rows that are refused.
        refused: Whether a row is; by default where its column `status` is not "ok".
        records: Selects a row's record each from what the table is about (an analysis, say).
        notes: Sentences about these very records, below the rules.
        summary: Names of the columns that matter, the most important first: where there is no place for all
            columns, what is left out is left out from its end. Columns that are not in it follow in order.
        summary_title: The title there.
        about: What the subject of `records` and `notes` is: an analysis, or what one command found.
        csv_only: Whether it is data to compute with, and not for people to read.
        order: Its place in a report, from first to last.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rules: tuple[str, ...] = ()
    marked: str = ""
    void: tuple[str, ...] = ()
    refused: Callable[[Row], bool] = lambda row: row.get("status") != "ok"
    records: Callable[[Any], Sequence[Any]] = lambda subject: list(subject)
    notes: Callable[[Any], Sequence[str]] = lambda subject: []
    summary: tuple[str, ...] = ()
    summary_title: str = ""
    about: str = "analysis"
    csv_only: bool = False
    order: int = 100

    def __post_init__(self) -> None:
        if twice := sorted(name for name, count in Counter(self.names).items() if count > 1):
            raise ValueError(
                f"table {self.name!r} has more than one column {twice[0]!r}; name each its own, a metric too"
            )

    @property
    def names(self) -> list[str]:
        return [name for column in self.columns for name in column.names]

    @property
    def short(self) -> "Table":
        """What fits on a screen: the summary's columns, without the rules."""
        if not self.summary:
            return self
        columns = tuple(column for column in self.columns if column.name in self.summary)
        return replace(self, title=self.summary_title or self.title, columns=columns, rules=())

    def rows(self, subject: Any) -> list[Row]:
        """The lines of its CSV; optional columns without a single value are left out."""
        cells = [[column.cells(record) for column in self.columns] for record in self.records(subject)]
        kept = [
            not column.optional or any(value is not None for line in cells for value in line[i].values())
            for i, column in enumerate(self.columns)
        ]
        return [
            {
                name: value
                for part, keep in zip(line, kept, strict=True)
                if keep
                for name, value in part.items()
            }
            for line in cells
        ]


def marked_partial(table: Table) -> Table:
    """The same table for results that lack members: every line of its CSV says so, in a column `partial`."""
    mark = Column("partial", get=lambda record: PARTIAL)
    return replace(table, columns=(*table.columns, mark))
