"""Files that are written whole or not at all."""

import os
import uuid
from pathlib import Path


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
