"""What lies in a store: its members by cell, and the space that each kind of thing takes."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..records import Cell
from .documents import DamageError, UnknownError
from .members import WEIGHTS, described
from .paths import DOCUMENTS, Paths

KINDS = {
    "members": "members",
    "later weights": "artefacts",
    **{name: name for name in DOCUMENTS},
    "checkpoints": "checkpoints",
    "quarantine": "quarantine",
    "staging": "tmp",
    "claims": "claims",
}


class StoredCell(NamedTuple):
    """The members of one cell.

    Attributes:
        cell: What they are.
        done: Members that can be averaged.
        diverged: Members that diverged.
        weights: Members whose weights were kept, or trained again later.
        bytes: Of all their files.
    """

    cell: Cell
    done: int
    diverged: int
    weights: int
    bytes: int


class Usage(NamedTuple):
    """What one kind of thing takes on the disk."""

    kind: str
    files: int
    bytes: int


def member_folders(paths: Paths) -> Iterator[Path]:
    """Every member's folder, in the order of their keys."""
    return (folder for folder in sorted(paths.root.glob("members/??/*")) if folder.is_dir())


def stored_cells(root: Path) -> tuple[list[StoredCell], list[str]]:
    """The cells that have members, and the keys of members that cannot be described.

    Descriptions are read and checked; logits and weights are not.
    """
    found: dict[str, list[tuple[Path, bool, Cell]]] = {}
    paths, unreadable = Paths(root), []
    for folder in member_folders(paths):
        try:
            member, _, _ = described(folder, folder.name)
        except (DamageError, UnknownError, OSError):
            unreadable.append(folder.name)
            continue
        cell = member.run.cell
        found.setdefault(cell.key, []).append((folder, member.status == "done", cell))
    cells = [_cell(paths, members) for members in found.values()]
    cells.sort(key=lambda one: (one.cell.dataset, one.cell.family, one.cell.width, one.cell.key))
    return cells, unreadable


def _cell(paths: Paths, members: list[tuple[Path, bool, Cell]]) -> StoredCell:
    folders = [folder for folder, _, _ in members]
    later = [paths.weights(folder.name) for folder in folders]
    done = sum(is_done for _, is_done, _ in members)
    return StoredCell(
        cell=members[0][2],
        done=done,
        diverged=len(members) - done,
        weights=sum(
            (folder / WEIGHTS).exists() or again.is_dir()
            for folder, again in zip(folders, later, strict=True)
        ),
        bytes=sum(space_of(folder)[1] for folder in [*folders, *later]),
    )


def usages(root: Path) -> list[Usage]:
    """What each kind of thing takes, the documents of a store without any left out."""
    found = [Usage(kind, *space_of(root / folder)) for kind, folder in KINDS.items()]
    return [one for one in found if one.files]


def space_of(folder: Path) -> tuple[int, int]:
    """How many files are below a folder, and how many bytes they hold."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return len(sizes), sum(sizes)
