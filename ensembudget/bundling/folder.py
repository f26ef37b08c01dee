"""Reads a folder that is not trusted: only regular files inside it, of limited size."""

import itertools
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import BundleError, reason, told

# What a reader takes in at most. Nothing is compressed, so a folder in memory is as large as on disk.
FILES = 10_000
FOLDERS_DEEP = 3
FILE_BYTES = 1 << 30
TOTAL_BYTES = 4 << 30
TEXT_BYTES = 64 << 20  # of JSON, CSV, Markdown, LaTeX, HTML and SVG
JSON_DEPTH = 32


class GivenFolder:
    """A folder that is not trusted.

    Attributes:
        root: The folder.
        sizes: Bytes by name, relative to the folder with slashes, of every file in it.

    Raises:
        BundleError: It is no folder; or it has links, devices or the like, too many files or too many bytes.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        try:
            if not self.root.is_dir():
                raise BundleError(f"{told(str(root))} is no folder. Name the folder of a report.")
            self.sizes = dict(self._found(self.root, 0))
        except (OSError, ValueError) as error:
            raise BundleError(f"{told(str(root))} cannot be read: {reason(error)}.") from None
        if (total := sum(self.sizes.values())) > TOTAL_BYTES:
            raise self.refusal(f"has {total:,} bytes; at most {TOTAL_BYTES:,} are read")

    def _found(self, folder: Path, depth: int) -> Iterator[tuple[str, int]]:
        with os.scandir(folder) as entries:
            found = list(itertools.islice(entries, FILES + 1))
        if len(found) > FILES:
            raise self.refusal(f"has more than {FILES:,} files in one folder")
        for entry in found:
            name = Path(entry.path).relative_to(self.root).as_posix()
            kind = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(kind.st_mode):
                if depth + 1 > FOLDERS_DEEP:
                    raise self.refusal(f"has folders in {told(name)}, deeper than {FOLDERS_DEEP}")
                yield from self._found(Path(entry.path), depth + 1)
            elif not stat.S_ISREG(kind.st_mode):
                raise self.refusal(f"has {told(name)}, which is a link or no ordinary file; none is followed")
            elif kind.st_size > FILE_BYTES:
                raise self.refusal(f"has {told(name)} of {kind.st_size:,} bytes; read are {FILE_BYTES:,}")
            else:
                yield name, kind.st_size

    def __contains__(self, name: str) -> bool:
        return name in self.sizes

    def read(self, name: str, limit: int = FILE_BYTES) -> bytes:
        """A file that was there when the folder was opened.

        Args:
            name: Relative to the folder, with slashes.
            limit: Bytes that are read at most.

        Raises:
            BundleError: It is not there, too large, has become a link, or cannot be read.
        """
        if name not in self.sizes:
            raise self.refusal(f"has no file {told(name)}")
        if self.sizes[name] > limit:
            raise self.refusal(f"has {told(name)} of {self.sizes[name]:,} bytes; at most {limit:,} are read")
        try:
            handle = os.open(self.root / name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            with os.fdopen(handle, "rb") as file:
                content = file.read(limit + 1)
        except OSError as error:
            raise self.refusal(f"has {told(name)}, which cannot be read: {reason(error)}") from None
        if len(content) > limit:
            raise self.refusal(f"has {told(name)} of more than {limit:,} bytes")
        return content

    def text(self, name: str) -> str:
        """A file as UTF-8.

        Raises:
            BundleError: As `read`, or it is no UTF-8.
        """
        try:
            return self.read(name, TEXT_BYTES).decode()
        except UnicodeDecodeError:
            raise self.refusal(f"has {told(name)}, which is no UTF-8") from None

    def json(self, name: str) -> Any:
        """A file as JSON.

        Raises:
            BundleError: As `read`; or it is no JSON, or `parsed` refuses it.
        """
        try:
            return parsed(self.read(name, TEXT_BYTES))
        except ValueError as error:
            raise self.refusal(f"has {told(name)}, which is no JSON that is read: {reason(error)}") from None

    def refusal(self, what: str) -> BundleError:
        return BundleError(f"folder {told(str(self.root))} {what}. Nothing was computed from it.")


def parsed(raw: bytes) -> Any:
    """JSON of bounded depth, without repeated names and without NaN or infinity.

    Raises:
        ValueError: It is none.

    Example:
        >>> parsed(b'{"a": [1.0]}')
        {'a': [1.0]}
        >>> parsed(b'{"a": 1, "a": 2}')
        Traceback (most recent call last):
        ValueError: name 'a' is there twice
    """
    try:
        found = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError(f"it is nested more than {JSON_DEPTH} deep") from None
    level, depth = [found], 0
    while level:
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        depth += 1
        if depth > JSON_DEPTH:
            raise ValueError(f"it is nested more than {JSON_DEPTH} deep")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"name {told(twice)} is there twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
