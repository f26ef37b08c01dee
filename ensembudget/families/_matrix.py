"""README's matrix of families and tasks.

`python -m ensembudget.families._matrix README.md` writes it anew.
"""

import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from torch import nn

from ..catalog import FAMILIES, TASKS
from ..files import write_whole
from ._base import Family

DEFAULT_TASKS = Family(nn.Module).tasks
BEGIN = "<!-- written by python -m ensembudget.families._matrix README.md -->\n"
END = "<!-- end of what is written -->\n"


def matrix() -> str:
    """A Markdown table of this package's families and tasks: one row a family, one column a task.

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
            continue  # from a plug-in, which other readers may not have
        about = FAMILIES.summary(name).rstrip(".")
        does = FAMILIES[name].tasks
        yield _row(name, about, does, kinds)
    for name, about in FAMILIES.made.items():
        yield _row(name, about.rstrip("."), DEFAULT_TASKS, kinds)


def _row(name: str, about: str, does: Collection[str], kinds: list[str]) -> list[str]:
    return [f"`{name}`: {about}", *("yes" if kind in does else "" for kind in kinds)]


def renewed(page: str) -> str:
    """The page with the current matrix between the two comments that mark its place.

    Raises:
        ValueError: One of the comments is missing.
    """
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(
            "the page has no place for the matrix. Mark one with the lines"
            f" {BEGIN.strip()} and {END.strip()}."
        )
    return f"{before}{BEGIN}\n{matrix()}\n{END}{after}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    write_whole(path, renewed(path.read_text()))
