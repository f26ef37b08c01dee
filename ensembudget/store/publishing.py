"""Folders that appear whole or not at all, survive a power cut, and are set aside when damaged."""

import contextlib
import errno
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..files import sync, write_new
from .paths import Paths
from .sweeping import staging_name

Files = Mapping[str, bytes | Path]


@contextlib.contextmanager
def staging(paths: Paths) -> Iterator[Path]:
    """A folder of one's own on the store's disk, gone afterwards."""
    folder = paths.tmp / staging_name()
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish_folder(paths: Paths, folder: Path, files: Files) -> bool:
    """Publishes files as one folder, durably.

    The order is what makes it safe: files are synced, then the staging folder, then the rename shows
    them, then the folders that hold the name are synced.

    Args:
        paths: The store's.
        folder: Where they go.
        files: By name, their content, or a file to be copied.

    Returns:
        Whether these were published; False where the folder is there already.

    Raises:
        OSError: The disk refuses; nothing was published.
    """
    with staging(paths) as staged:
        for name, content in files.items():
            if isinstance(content, Path):
                shutil.copyfile(content, staged / name)
                sync(staged / name)
            else:
                write_new(staged / name, content, durable=True)
        sync(staged)
        _make(folder.parent)
        try:
            staged.rename(folder)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return False
            raise
        for parent in (folder.parent, folder.parent.parent, staged.parent):
            sync(parent)
        return True


def _make(folder: Path) -> None:
    """A folder and those above it, so that a power cut cannot take the names on the way to it."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def set_aside(paths: Paths, folder: Path, damage: str, remedy: str) -> str:
    """Quarantines a damaged folder, and says so.

    Args:
        paths: The store's.
        folder: What is damaged.
        damage: What is wrong with it, as the beginning of a sentence.
        remedy: What to do about it, as a sentence.
    """
    place = paths.quarantine / f"{folder.name}-{uuid.uuid4().hex[:8]}"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(place)
    except OSError as refused:
        return f"{damage} and cannot be moved to {str(place)!r}: {refused.strerror}."
    return f"{damage} and was moved to {str(place)!r}. {remedy} Its files stay there to be looked at."
