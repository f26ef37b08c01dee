"""A table as HTML: a fragment that stands alone, and the same inside a page."""

from collections.abc import Sequence
from functools import cache

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from ..errors import visible
from ..tables._base import Row, Table
from .cells import Seen, below, shown

SMALL = 5  # columns, of the most important ones, that a phone shows until it is asked for all


@cache
def templates() -> Environment:
    """The templates beside this module; whatever they print is escaped."""
    return Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _shown(value: object) -> object:
    """A value as a page shows it; a carriage return is a line break there."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return visible(value.replace("\r", "\n"))


def to_html(table: Table, rows: Sequence[Row], notes: Sequence[str] = ()) -> Markup:
    """A table with its title and what is said below it, without styles.

    Args:
        table: Its columns.
        rows: As read from its CSV.
        notes: Sentences below the table, after its own rules.
    """
    seen = shown(table, rows)
    macros = templates().get_template("table.html.jinja").module
    found: Markup = macros.described(table, seen, ranks(table, seen), below(table, seen, notes))  # type: ignore[attr-defined]
    return found


def ranks(table: Table, seen: Seen) -> list[str]:
    """A column's class: "first" where even a phone shows it, "second" where a screen does, else "rest"."""
    names = [column.name for column in seen.columns]
    summary = [name for name in table.summary if name in names] or names
    small, screen = set(summary[:SMALL]), set(summary)
    return ["first" if name in small else "second" if name in screen else "rest" for name in names]
