"""Where things lie in a store."""

from dataclasses import dataclass
from pathlib import Path

from ..errors import StoreError

HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Paths:
    """The folders and files of a store; asking for one makes nothing."""

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

    def member(self, key: str) -> Path:
        return self.root / "members" / key[:2] / _checked(key)

    def weights(self, key: str) -> Path:
        """Weights that were published after their member."""
        return self.root / "artefacts" / "weights" / key[:2] / _checked(key)

    def failure(self, key: str) -> Path:
        return self.root / "failures" / f"{_checked(key)}.json"

    def claim(self, key: str) -> Path:
        return self.claims / f"{_checked(key)}.lock"


def _checked(key: str) -> str:
    """A key becomes a path, so it must be nothing else than one.

    Raises:
        StoreError: It is no key.
    """
    if len(key) != 64 or not set(key) <= HEX:
        raise StoreError(f"{key!r} is not a member's key: 64 hexadecimal digits.")
    return key
