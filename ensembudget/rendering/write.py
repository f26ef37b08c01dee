"""Writes tables, figures and folders to disk, each file whole or not at all."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OutputError, reason
from ..files import write_whole
from ..tables._base import Row, Table
from .render import KINDS, from_csv, render, to_csv

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def open_folder(out: str | Path) -> Path:
    """The folder, created where it is not there, and checked to be writable.

    Raises:
        OutputError: It cannot be created or written.
    """
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".ensembudget"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise OutputError(
            f"output folder {str(out)!r} cannot be written: {reason(error)}. Name another with --out."
        ) from None
    return folder


def write_table(folder: Path, table: Table, subject: Any, notes: Sequence[str] = (), study: str = "") -> None:
    """A table of what it is about, in every format it has, with its own notes before the given ones."""
    write_rows(folder, table, table.rows(subject), [*table.notes(subject), *notes], study)


def write_rows(
    folder: Path, table: Table, rows: Sequence[Row], notes: Sequence[str] = (), study: str = ""
) -> None:
    """Rows under a table's columns: a CSV, and the formats for people rendered from that very CSV.

    Args:
        folder: Where to.
        table: Its columns.
        rows: Its lines.
        notes: Sentences below it, after its own rules.
        study: Whose it is, "" for none; a caption names it.
    """
    text = to_csv(table, rows)
    write(folder, f"{table.name}.csv", text)
    for kind in () if table.csv_only else KINDS:
        write(folder, f"{table.name}.{kind}", render(table, from_csv(text), kind, notes, study))


def write_figure(folder: Path, name: str, figure: "Figure") -> None:
    """A figure as SVG and PNG; equal data give equal bytes."""
    import matplotlib  # here, for tables need none of it

    from ..figures._style import STYLE

    for kind in ("svg", "png"):
        buffer = io.BytesIO()
        metadata = {"Date": None} if kind == "svg" else None
        with matplotlib.rc_context(STYLE):
            figure.savefig(buffer, format=kind, dpi=160, metadata=metadata)
        write(folder, f"{name}.{kind}", buffer.getvalue())


def write(folder: Path, name: str, content: str | bytes) -> None:
    """One file.

    Raises:
        OutputError: It cannot be written; a file that was there is unchanged.
    """
    try:
        write_whole(folder / name, content)
    except OSError as error:
        raise OutputError(f"{str(folder / name)!r} cannot be written: {reason(error)}.") from None
