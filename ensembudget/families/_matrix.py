"""Which families do which tasks, as README shows it: `python -m ensembudget.families._matrix README.md`."""

import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from torch import nn

from ..catalog import FAMILIES, TASKS
from ..files import write_whole
from ._base import Family

DOES = Family(nn.Module).tasks  # of a family that says nothing else
BEGIN = "<!-- written by python -m ensembudget.families._matrix README.md -->\n"
END = "<!-- end of what is written -->\n"


def matrix() -> str:
    """A Markdown table of the families and tasks of this package: a row a family, a column a task.

    Example:
        >>> print(matrix().splitlines()[0])
        | family | images | ...
    """
    kinds = [name for name in TASKS if not TASKS.source(name).package]
    rows = [["family", *kinds], ["---"] * (1 + len(kinds)), *_rows(kinds)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _rows(kinds: list[str]) -> Iterator[list[str]]:
    for name in FAMILIES:
        if FAMILIES.source(name).package:
            continue  # a plug-in of this machine
        about = FAMILIES.summary(name).rstrip(".")
        does = FAMILIES[name].tasks
        yield _row(name, about, does, kinds)
    for name, about in FAMILIES.made.items():
        yield _row(name, about.rstrip("."), DOES, kinds)


def _row(name: str, about: str, does: Collection[str], kinds: list[str]) -> list[str]:
    return [f"`{name}`: {about}", *("yes" if kind in does else "" for kind in kinds)]


def renewed(page: str) -> str:
    """A page with today's matrix between the two comments that mark its place.

    Raises:
        ValueError: A comment is missing.
    """
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"the page has no place for the matrix: {BEGIN.strip()} and {END.strip()}.")
    return f"{before}{BEGIN}\n{matrix()}\n{END}{after}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    write_whole(path, renewed(path.read_text()))
