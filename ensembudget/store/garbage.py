"""Finds and removes what a store no longer needs: never members, plans or other documents of studies."""

from pathlib import Path
from typing import NamedTuple

from ..files import remove_tree
from .checkpoints import outlived
from .inventory import space_of
from .paths import FAILURES, Paths
from .sweeping import abandoned


class Garbage(NamedTuple):
    """Something that may be removed.

    Attributes:
        path: A file or a folder.
        why: It is no longer needed, in a few words.
        bytes: That it takes.
    """

    path: Path
    why: str
    bytes: int


def garbage(root: Path) -> list[Garbage]:
    """What may be removed: nothing here is read by any command."""
    paths = Paths(root)
    found = [(path, "left behind by a run that was killed") for path in abandoned(paths)]
    found += [(path, "a checkpoint of members that are there now") for path in outlived(paths)]
    found += [(path, "damaged, and set aside") for path in _inside(root, "quarantine/*")]
    for path in _inside(root, f"{FAILURES}/*"):
        if _is_there(paths, path.stem):
            found.append((path, "a failure of a member that is there now"))
    for path in _inside(root, "artefacts/weights/??/*"):
        if not _is_there(paths, path.name):
            found.append((path, "weights of a member that is not there"))
    return [Garbage(path, why, _bytes(path)) for path, why in found]


def remove(some: list[Garbage]) -> list[Path]:
    """Removes garbage; returns what could not be removed."""
    for one in some:
        remove_tree(one.path)
    return [one.path for one in some if one.path.exists()]


def _is_there(paths: Paths, key: str) -> bool:
    return (paths.root / "members" / key[:2] / key).is_dir()


def _inside(root: Path, pattern: str) -> list[Path]:
    """What lies in a folder of the store; what a link leads to is not the store's to remove."""
    found = (path for path in root.glob(pattern) if not path.name.startswith("."))
    return sorted(path for path in found if not _by_link(root, path))


def _by_link(root: Path, path: Path) -> bool:
    return any((root / one).is_symlink() for one in list(path.relative_to(root).parents)[:-1])


def _bytes(path: Path) -> int:
    return space_of(path)[1] if path.is_dir() else path.stat().st_size
