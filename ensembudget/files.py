"""Files that are written whole or not at all."""

import os
import re
import uuid
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .errors import InputError, reason, told

if TYPE_CHECKING:
    import pandas as pd


def write_whole(path: Path, content: str | bytes, *, durable: bool = False) -> None:
    """Writes a file whole or not at all, and makes the folder it lies in.

    The content is staged beside the file and then takes its place: whoever reads finds the old file
    or the new one, never a part of either, and two who write at once do not mix.

    Args:
        path: The file. What is there is replaced.
        content: Text, written as UTF-8, or bytes.
        durable: Whether the file must survive a power cut: it and its folder are synced.

    Raises:
        OSError: The disk refuses. What was there before is still there.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_whole(folder / "new" / "notes.txt", "hello")
        >>> (folder / "new" / "notes.txt").read_text()
        'hello'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        write_new(staged, content, durable=durable)
        staged.replace(path)
        if durable:
            sync(path.parent)
    finally:
        staged.unlink(missing_ok=True)


def write_new(path: Path, content: str | bytes, *, durable: bool = False) -> None:
    """Writes a file that must not exist yet.

    Raises:
        OSError: It exists, or the disk refuses; a part of it may then be there.
    """
    with path.open("xb", buffering=0) as file:
        view = memoryview(content.encode() if isinstance(content, str) else content)
        while view:  # an unbuffered write may be short
            view = view[file.write(view) or 0 :]
        if durable:
            os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Waits until the disk has a file's content, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_csv(path: str, what: str, index_col: Literal[False] | None = None) -> "pd.DataFrame":
    """A CSV file of this machine; an address of the network is refused, not fetched.

    Args:
        path: The file.
        what: It is, in messages.
        index_col: As `pandas.read_csv` takes it.

    Raises:
        InputError: It cannot be read, or is no CSV.
    """
    import pandas as pd

    named = f"{what} {told(path)}"
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", path):
        raise InputError(f"{named} is an address, and only files are read. Download it, and name the file.")
    try:
        with Path(path).open(newline="") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.ParserWarning)  # a comma at the end of every line
            return pd.read_csv(file, index_col=index_col)
    except OSError as error:
        raise InputError(f"{named} cannot be read: {reason(error)}.") from None
    except ValueError as error:
        raise InputError(f"{named} cannot be read as CSV: {reason(error)}.") from None
