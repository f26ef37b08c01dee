"""Folders that appear whole or not at all, survive a power cut, and are set aside when damaged."""

import contextlib
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import reason
from ..files import copy_new, make_folder, move_new, remove, remove_tree, sync, write_new
from .paths import Paths
from .sweeping import staging_name

Files = Mapping[str, bytes | Path]


@contextlib.contextmanager
def staging(paths: Paths) -> Iterator[Path]:
    """A private folder on the store's disk, removed afterwards."""
    folder = paths.tmp / staging_name()
    make_folder(folder)
    try:
        yield folder
    finally:
        remove_tree(folder)


def publish_folder(paths: Paths, folder: Path, files: Files) -> bool:
    """Publishes files as one folder, durably.

    The order is what makes it safe: files are synced, then the staging folder, then the rename shows
    them, then the folder that holds the name is synced; those above it were before.

    Args:
        paths: The store's.
        folder: Where they go.
        files: By name, their content, or a file to be copied.

    Returns:
        Whether these were published; False where the folder is there already. It is durable then, too,
        even where whoever published it was killed before that.

    Raises:
        OSError: The disk refuses; nothing was published, or it may not survive a power cut.
    """
    with staging(paths) as staged:
        for name, content in files.items():
            if isinstance(content, Path):
                copy_new(content, staged / name, durable=True)
            else:
                write_new(staged / name, content, durable=True)
        sync(staged)
        make_folder(folder.parent, durable=True)
        published = move_new(staged, folder)
        sync(folder.parent)
        return published


def forget_failure(paths: Paths, key: str) -> None:
    """Removes the failure of a run that has since succeeded; if the disk refuses, `store gc` does it."""
    with contextlib.suppress(OSError):
        remove(paths.failure(key))


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
        make_folder(place.parent, durable=True)
        move_new(folder, place)
        sync(place.parent)
    except OSError as refused:
        return (
            f"{damage} and cannot be moved to {str(place)!r}: {reason(refused)}. Fix the disk, and rerun the"
            " same command."
        )
    return f"{damage} and was moved to {str(place)!r}. {remedy} Its files stay there to be looked at."
