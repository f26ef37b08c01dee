"""Members and probes as bytes by name, for machines that do not share the store's disk."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path, PurePosixPath

from ..errors import StoreError, told
from ..files import make_folder, write_new
from .paths import Paths

Carried = dict[str, bytes]

# All that a job reads or publishes; nothing else is written on another's word.
NAME = re.compile(
    r"(members/[0-9a-f]{2}/[0-9a-f]{64}|artefacts/weights/[0-9a-f]{2}/[0-9a-f]{64}|probes)/\w[\w.-]*",
    re.ASCII,
)


def carried(root: Path, keys: Iterable[str]) -> Carried:
    """All files of some members, and of weights published after them, by their names in the store.

    Raises:
        OSError: The disk fails.
    """
    paths = Paths(root)
    folders = (folder for key in keys for folder in (paths.member(key), paths.weights(key)))
    files = (path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir()))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def unpack(root: Path, files: Mapping[str, bytes]) -> None:
    """Writes files as a store lays them out. Only their names are checked: `merge` checks the rest.

    Raises:
        StoreError: A name that no store has; nothing was written.
        OSError: The disk refuses, or a file is there already.

    Example:
        >>> unpack(Path("store"), {"members/../../.bashrc": b""})
        Traceback (most recent call last):
        ensembudget.errors.StoreError: 'members/../../.bashrc' is no file of a member or a probe.
    """
    for name in files:
        if not NAME.fullmatch(name):
            raise StoreError(f"{told(name)} is no file of a member or a probe.")
    for name, content in files.items():
        path = root / name
        make_folder(path.parent)
        write_new(path, content)


def published(root: Path, but: Iterable[str] = ()) -> Iterator[Carried]:
    """What a job published in a store of its own, one folder at a time: members are large.

    Args:
        root: The store.
        but: Names that were laid there before.
    """
    places = ("members/*/*/*", "artefacts/weights/*/*/*", "probes/*")
    found = (path.relative_to(root).as_posix() for place in places for path in sorted(root.glob(place)))
    names = sorted({name for name in found if NAME.fullmatch(name)} - set(but))
    for _, folder in groupby(names, lambda name: PurePosixPath(name).parent):
        yield {name: (root / name).read_bytes() for name in folder}
