"""Where things lie in a store."""

import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import StoreError
from ..files import read_regular

HEX = frozenset("0123456789abcdef")

# Of the whole store: raised when an older version would misread it, so that it refuses it instead.
FORMAT = 1

# Folders of small documents, each written whole in the place of an earlier one.
DOCUMENTS = PLANS, SEARCHES, CHOICES, PROBES, FAILURES = "plans", "searches", "choices", "probes", "failures"


@dataclass(frozen=True)
class Paths:
    """The paths of folders and files of a store; nothing is created."""

    root: Path

    @property
    def header(self) -> Path:
        return self.root / "store.json"

    @property
    def tmp(self) -> Path:
        return self.root / "tmp"

    @property
    def claims(self) -> Path:
        return self.root / "claims"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    def checkpoint(self, pack: str, epoch: int) -> Path:
        """Of a pack, after so many epochs."""
        return self.checkpoints / f"{_checked(pack)}-{epoch}"

    def member(self, key: str) -> Path:
        return self.root.joinpath("members", key[:2], _checked(key))

    def weights(self, key: str) -> Path:
        """Weights that were published after their member."""
        return self.root / "artefacts" / "weights" / key[:2] / _checked(key)

    def failure(self, key: str) -> Path:
        return self.root / FAILURES / f"{_checked(key)}.json"

    def claim(self, key: str) -> Path:
        return self.claims / f"{_checked(key)}.lock"


def check_header(paths: Paths) -> None:
    """Refuses a folder that is no store, or one of a newer version; one that is not there yet may be made.

    Raises:
        StoreError: It is refused.
    """
    header = paths.header
    if not header.exists():
        return  # made by the first who writes: asking must not make one
    try:
        found = json.loads(read_regular(header))["format"]
    except (ValueError, KeyError, TypeError):
        raise StoreError(f"{str(header)!r} is not a store's header. Name another --store.") from None
    if type(found) is not int or not 1 <= found <= FORMAT:
        raise StoreError(
            f"store {str(paths.root)!r} has format {found}; this version reads up to {FORMAT}."
            " Update ensembudget, or name another --store."
        )


def identity(folder: Path) -> tuple[int, int] | None:
    """Identifies a folder whatever path leads to it; None if it does not exist."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _checked(key: str) -> str:
    """A key becomes a path, so it must be nothing else than one.

    Raises:
        StoreError: It is no key.
    """
    if len(key) != 64 or not set(key) <= HEX:
        raise StoreError(f"{key!r} is not a member's key: 64 hexadecimal digits.")
    return key
