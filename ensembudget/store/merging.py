"""Copies what another store has. Keys are hashes of content, so the same key means the same thing."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import StoreError, reason
from ..files import settle
from . import artefacts, members, publishing
from .documents import DamageError, UnknownError
from .inventory import member_folders
from .kept import Shelf, choices, plans, probes, searches
from .paths import DOCUMENTS, Paths

NEW, SAME, CONFLICT, UNREADABLE = "new", "same", "conflict", "unreadable"


class Merged(NamedTuple):
    """What happened to one entry of the other store.

    Attributes:
        kind: `member`, `weights`, `plan`, `search`, `choice` or `probe`.
        name: A member's key, or what the document is about.
        outcome: `new`: taken over; `same`: it was here; `conflict`: another one is here, and stays;
            `unreadable`: damaged or of a newer version there, and not taken.
        why: Of a conflict, or of what is unreadable.
    """

    kind: str
    name: str
    outcome: str
    why: str = ""


def merge(ours: Paths, theirs: Paths) -> list[Merged]:
    """Takes over members, weights, plans, searches, choices and probes that this store lacks.

    Everything is checked against its digest first. Nothing that is here is changed.

    Raises:
        OSError: This store cannot be written; what was taken over until then stays.
    """
    found = [*_members(ours, theirs), *_documents(ours, theirs)]
    keys = [folder.name for folder in member_folders(theirs)]
    places = [place(key).parent for key in keys for place in (ours.member, ours.weights)]
    settle([*places, *(ours.root / name for name in DOCUMENTS)])  # what was here already, too
    return found


def _members(ours: Paths, theirs: Paths) -> Iterator[Merged]:
    for folder in member_folders(theirs):
        key = folder.name
        try:
            members.checked(folder, key)
            logits = artefacts.logits_digest(folder)
        except (DamageError, UnknownError) as error:
            yield Merged("member", key, UNREADABLE, str(error))
            continue
        except OSError as error:  # theirs, not ours
            yield Merged("member", key, UNREADABLE, reason(error))
            continue
        taken = _member(ours, folder, key, logits)
        yield taken
        if taken.outcome == CONFLICT:
            continue
        try:
            if (more := _weights(ours, theirs, folder, key, logits)) is not None:
                yield more
        except (DamageError, UnknownError, FileNotFoundError) as error:
            yield Merged("weights", key, UNREADABLE, reason(error))


def _member(ours: Paths, folder: Path, key: str, logits: str) -> Merged:
    here = ours.member(key)
    if not here.is_dir() and publishing.publish_folder(ours, here, _files(folder)):
        publishing.forget_failure(ours, key)
        return Merged("member", key, NEW)
    try:
        if artefacts.logits_digest(here) == logits:
            return Merged("member", key, SAME)
    except (DamageError, UnknownError, FileNotFoundError) as error:
        told = reason(error) if isinstance(error, OSError) else str(error)
        why = f"the one here is damaged or of a newer version ({told}): a command that reads it says more"
        return Merged("member", key, CONFLICT, why)
    return Merged("member", key, CONFLICT, "it has other logits there: trained on another machine, perhaps")


def _weights(ours: Paths, theirs: Paths, folder: Path, key: str, logits: str) -> Merged | None:
    """Weights that only the other store has, of a member with the same logits."""
    here, later = ours.member(key), theirs.weights(key)
    if (here / members.WEIGHTS).exists() or ours.weights(key).is_dir():
        return None
    if later.is_dir():
        artefacts.read_later(later, key, logits)
        files: publishing.Files = _files(later)
    elif (folder / members.WEIGHTS).exists():
        files = artefacts.later_copy(folder, key, logits)
    else:
        return None
    publishing.publish_folder(ours, ours.weights(key), files)
    return Merged("weights", key, NEW)


def _files(folder: Path) -> dict[str, bytes | Path]:
    return {path.name: path for path in sorted(folder.iterdir())}


def _documents(ours: Paths, theirs: Paths) -> Iterator[Merged]:
    shelves: tuple[Callable[[Path], Shelf[Any, Any]], ...] = (plans, searches, choices, probes)
    for shelf in shelves:
        yield from _shelf(shelf(ours.root), shelf(theirs.root))


def _shelf(ours: Shelf[Any, Any], theirs: Shelf[Any, Any]) -> Iterator[Merged]:
    for name, kept in theirs.every():
        if isinstance(kept, Exception):
            yield Merged(theirs.kind, name, UNREADABLE, str(kept))
            continue
        try:
            found = ours.find(theirs.subject(kept))
        except StoreError as error:
            yield Merged(theirs.kind, name, CONFLICT, str(error))
            continue
        if found is None:
            ours.save(kept)
        outcome = NEW if found is None else SAME if found == kept else CONFLICT
        yield Merged(theirs.kind, name, outcome, "it says something else there" * (outcome == CONFLICT))
