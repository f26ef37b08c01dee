"""Files that are written whole or not at all, and the few system calls that change what is on a disk.

The store changes nothing by other means, so that tests can fail each call (tests/faults).
"""

import contextlib
import errno
import io
import os
import re
import stat
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from .errors import InputError, reason, told

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

PIECE = 2**20  # bytes of a file that are copied at one time


MOST_TEXT = 2**26  # bytes of a file that people write: a study, a table, a description
MOST_COLUMNS = 10_000  # of a CSV: each takes memory of its own


def write_whole(path: Path, content: str | bytes, *, durable: bool = False) -> None:
    """Writes a file whole or not at all, and makes the folder it lies in.

    The content is staged beside the file and then takes its place: whoever reads finds the old file
    or the new one, never a part of either, and two who write at once do not mix.

    Args:
        path: The file. What is there is replaced.
        content: Text, written as UTF-8, or bytes.
        durable: Whether the file must survive a power cut: it, its folder, and the folder's own name are
            synced.

    Raises:
        OSError: The disk refuses. What was there before is still there, or the new file, which may then
            not survive a power cut.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_whole(folder / "new" / "notes.txt", "hello")
        >>> (folder / "new" / "notes.txt").read_text()
        'hello'
    """
    make_folder(path.parent, durable=durable)
    staged = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        write_new(staged, content, durable=durable)
        _again(os.replace, staged, path)
    except BaseException:
        with contextlib.suppress(OSError):  # why it was not written says more
            remove(staged)
        raise
    if durable:
        sync(path.parent)


def write_new(path: Path, content: str | bytes, *, durable: bool = False) -> None:
    """Writes a file that must not exist yet.

    Args:
        path: The file.
        content: Text, written as UTF-8, or bytes.
        durable: Whether its content must survive a power cut; its name does when its folder is synced.

    Raises:
        OSError: It exists, or the disk refuses; a part of it may then be there.
    """
    with _new(path, durable) as handle:
        _write(handle, content.encode() if isinstance(content, str) else content)


def copy_new(source: Path, path: Path, *, durable: bool = False) -> None:
    """Copies a file's content, a piece at a time, to one that must not exist yet.

    Args:
        source: What is copied.
        path: Where it goes.
        durable: As for `write_new`.

    Raises:
        OSError: As `write_new`; or the source cannot be read.
    """
    with source.open("rb") as file, _new(path, durable) as handle:
        while piece := file.read(PIECE):
            _write(handle, piece)


def make_folder(folder: Path, *, durable: bool = False) -> None:
    """Makes a folder and those above it, where they are missing.

    Args:
        folder: It may be there.
        durable: Whether it must survive a power cut: each folder's name is synced before anything is made
            in it. So only the lowest that is there may have come from a process that was killed before
            it synced, and that name is synced again.

    Raises:
        OSError: The disk refuses, or a file is in the way.
    """
    if not folder.is_dir():
        make_folder(folder.parent, durable=durable)
        try:
            _again(os.mkdir, folder)
        except FileExistsError:  # another made it
            if not folder.is_dir():
                raise
    if durable and os.access(folder.parent, os.W_OK):  # else nobody here made it
        sync(folder.parent)


def move_new(source: Path, folder: Path) -> bool:
    """Moves a folder to a place where none is yet.

    Returns:
        Whether it was moved: False where a folder is there that is not empty.

    Raises:
        OSError: The disk refuses.
    """
    try:
        _again(os.rename, source, folder)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def remove(path: Path) -> None:
    """Removes a file, where it is there.

    Raises:
        OSError: The disk refuses.
    """
    with contextlib.suppress(FileNotFoundError):
        _again(os.unlink, path)


def remove_tree(path: Path) -> None:
    """Removes a file, or a folder and all below it; what the disk refuses to remove stays.

    A link is removed and not followed.
    """
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            for inside in list(path.iterdir()):
                remove_tree(inside)
            _again(os.rmdir, path)
        else:
            remove(path)


def sync(path: Path) -> None:
    """Waits until the disk has a file's content, or the names in a folder."""
    handle = _again(os.open, path, os.O_RDONLY)
    try:
        _again(os.fsync, handle)
    finally:
        _close(handle)


def settle(folders: Iterable[Path]) -> None:
    """Waits until the disk has the names in folders, and those of the folders, where they are there.

    Whoever made them may have been killed before it waited: see `make_folder`.

    Raises:
        OSError: The disk refuses.
    """
    here = {folder for folder in folders if folder.is_dir()}
    for folder in sorted(here | {folder.parent for folder in here}):
        sync(folder)


@contextlib.contextmanager
def _new(path: Path, durable: bool) -> Iterator[int]:
    handle = _again(os.open, path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        yield handle
        if durable:
            _again(os.fsync, handle)
    finally:
        _close(handle)


def _write(handle: int, content: bytes) -> None:
    view = memoryview(content)
    while view:  # a write may be short
        written = _again(os.write, handle, view)
        if not written:
            raise OSError(errno.EIO, "the disk takes no byte")
        view = view[written:]


def _close(handle: int) -> None:
    with contextlib.suppress(InterruptedError):  # it is closed all the same: close(2) of Linux
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
        content = file.read(size + 1) if size <= most else b""
        if len(content) > size:  # it grows; asked for all at once, memory for `most` would be taken
            content += file.read(most + 1 - len(content))
    if max(size, len(content)) > most:
        raise OSError(errno.EFBIG, f"it has {size:,} bytes, and at most {most:,} are read", str(path))
    return content


def _again(call: Callable[..., T], *given: Any) -> T:
    """What a system call gives, made again where a signal interrupts it: Python does so for some only."""
    while True:
        try:
            return call(*given)
        except InterruptedError:
            continue


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
        columns = 1 + max(line.count(",") for line in re.split("[\r\n]", text))  # a longer row makes more
        if columns > MOST_COLUMNS:
            raise ValueError(f"it has {columns:,} columns, and at most {MOST_COLUMNS:,} are read")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.ParserWarning)  # a comma at the end of every line
            return pd.read_csv(io.StringIO(text, newline=""), index_col=index_col)
    except OSError as error:
        raise InputError(f"{named} cannot be read: {reason(error)}.") from None
    except ValueError as error:
        raise InputError(f"{named} cannot be read as CSV: {reason(error)}.") from None
