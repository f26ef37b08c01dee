"""Files that are written whole or not at all."""

import errno
import io
import os
import re
import stat
import uuid
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .errors import InputError, reason, told

if TYPE_CHECKING:
    import pandas as pd


MOST_TEXT = 2**26  # bytes of a file that people write: a study, a table, a description
MOST_COLUMNS = 10_000  # of a CSV: each takes memory of its own


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


def open_regular(path: str | Path) -> io.BufferedReader:
    """A file that is one, opened for reading; a device or pipe, which may never end, is not waited for.

    Raises:
        OSError: It is none, it is not there, or the disk refuses.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    file = os.fdopen(handle, "rb") if stat.S_ISREG(mode := os.fstat(handle).st_mode) else None
    if file is None:
        os.close(handle)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise OSError(errno.EINVAL, "it is a device or a pipe, and no file", str(path))
    return file


def read_regular(path: str | Path, most: int = MOST_TEXT) -> bytes:
    """The content of a file that is no longer than expected.

    Args:
        path: The file.
        most: Bytes beyond which it is refused, before memory is taken for them.

    Raises:
        OSError: It is longer, it is no file, it is not there, or the disk refuses.

    Example:
        >>> read_regular("/dev/zero")
        Traceback (most recent call last):
        OSError: [Errno 22] it is a device or a pipe, and no file: '/dev/zero'
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(most + 1) if size <= most else b""
        if max(size, len(content)) > most:
            raise OSError(errno.EFBIG, f"it has {size:,} bytes, and at most {most:,} are read", str(path))
        return content


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
        text = read_regular(path).decode()
        if (columns := text.partition("\n")[0].count(",") + 1) > MOST_COLUMNS:
            raise ValueError(f"it has {columns:,} columns, and at most {MOST_COLUMNS:,} are read")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.ParserWarning)  # a comma at the end of every line
            return pd.read_csv(io.StringIO(text, newline=""), index_col=index_col)
    except OSError as error:
        raise InputError(f"{named} cannot be read: {reason(error)}.") from None
    except ValueError as error:
        raise InputError(f"{named} cannot be read as CSV: {reason(error)}.") from None
