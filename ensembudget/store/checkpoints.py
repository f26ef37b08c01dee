"""Checkpoints in a store: one folder each, published like a member, removed when its pack is published."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import StoreError, reason
from ..files import make_folder, move_new, remove_tree
from ..records import Environment, Record, Run
from . import members, publishing
from .documents import FORMAT, DamageError, Document, UnknownError, canonical, record, seal, sha256
from .paths import Paths
from .sweeping import staging_name

if TYPE_CHECKING:
    from ..training.checkpoints import Checkpoint

DESCRIPTION, TENSORS = "checkpoint.json", "tensors.safetensors"

Writing = Callable[[], AbstractContextManager[None]]


class PackOf(Record):
    """Whose checkpoint it is.

    Attributes:
        key: Of the pack: of its runs, and of all that decides how its numbers are rounded.
        members: Keys of its runs.
        weights: Whether their weights are wanted too.
    """

    key: str
    members: list[str]
    weights: bool


def pack_of(runs: list[Run], environment: Environment, processor: str, *, keep_weights: bool) -> PackOf:
    """The pack of these runs, trained here: elsewhere it would go on to other numbers, so it has another key.

    Args:
        runs: Its members, in order.
        environment: Where and how they are trained.
        processor: Whose instructions torch uses.
        keep_weights: Whether their weights are wanted.
    """
    keys = [run.key for run in runs]
    facts = [FORMAT, keys, environment.model_dump(mode="json"), processor]
    return PackOf(key=sha256(canonical(facts)), members=keys, weights=keep_weights)


class PackCheckpoints:
    """The checkpoints of one pack; what went wrong with them is in `notes`, and ends no training.

    Args:
        paths: The store's.
        pack: Which.
        writing: Around all that writes: it turns what the disk refuses into a `StoreError`.
    """

    def __init__(self, paths: Paths, pack: PackOf, writing: Writing) -> None:
        self._paths, self._pack, self._writing = paths, pack, writing
        self.notes: list[str] = []

    def found(self) -> Iterator["Checkpoint"]:
        """The intact checkpoints, the newest first; damaged ones are set aside."""
        for epoch, folder in self._folders():
            try:
                checkpoint = _read(folder, self._pack.key, epoch)
            except (DamageError, UnknownError) as error:
                self._set_aside(folder, reason(error))
            except OSError as error:  # a disk that fails says nothing of the checkpoint
                self._note(f"checkpoint {str(folder)!r} cannot be read: {reason(error)}.")
            else:
                yield checkpoint

    def keep(self, checkpoint: "Checkpoint") -> None:
        """Publishes one, and drops the earlier ones once it is durable."""
        files: publishing.Files = {TENSORS: checkpoint.tensors}
        body: Document = {
            "pack": self._pack.model_dump(mode="json"),
            "epoch": checkpoint.epoch,
            "facts": checkpoint.facts,
            "files": members.listing(files),
        }
        folder = self._paths.checkpoint(self._pack.key, checkpoint.epoch)
        try:
            with self._writing():
                new = publishing.publish_folder(self._paths, folder, {**files, DESCRIPTION: seal(body)})
        except StoreError as error:
            self._note(f"a checkpoint could not be kept, and a killed run would start anew: {error}")
            return
        for epoch, earlier in self._folders():
            if new and epoch < checkpoint.epoch:
                drop(self._paths, earlier)

    def refuse(self, checkpoint: "Checkpoint", why: str) -> None:
        """Sets aside a checkpoint that training cannot resume from."""
        self._set_aside(self._paths.checkpoint(self._pack.key, checkpoint.epoch), why)

    def remove(self) -> None:
        """Drops all of them: their pack is published."""
        for _, folder in self._folders():
            drop(self._paths, folder)

    def _folders(self) -> list[tuple[int, Path]]:
        """By the number of epochs done, the newest first."""
        found = self._paths.checkpoints.glob(f"{self._pack.key}-*")
        each = [(path.name.partition("-")[2], path) for path in found]
        return sorted(((int(epoch), path) for epoch, path in each if _is_number(epoch)), reverse=True)

    def _set_aside(self, folder: Path, why: str) -> None:
        damage = f"checkpoint {str(folder)!r} cannot be used ({why})"
        self._note(publishing.set_aside(self._paths, folder, damage, "Training started without it."))

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _read(folder: Path, key: str, epoch: int) -> "Checkpoint":
    """A checkpoint, compared with what it says of itself.

    Raises:
        DamageError: It is not what was published, or another's.
        UnknownError: It is intact, but not known to this version.
        OSError: A file is missing, or the disk fails.
    """
    from ..training.checkpoints import Checkpoint

    document, pack = _described(folder)
    if (pack.key, document.get("epoch")) != (key, epoch):
        raise DamageError("it is another one's")
    facts = document.get("facts")
    if not isinstance(facts, dict):
        raise UnknownError("it says nothing of its tensors")
    return Checkpoint(epoch, facts, members.check_files(folder, document, DESCRIPTION, TENSORS))


def _described(folder: Path) -> tuple[dict[str, Any], PackOf]:
    document, _ = members.description(folder / DESCRIPTION)
    pack, _ = record(PackOf, document.get("pack"))
    return document, pack


def drop(paths: Paths, folder: Path) -> None:
    """Removes a checkpoint: its name first, so that nobody finds a part of it. What cannot go, stays."""
    place = paths.tmp / staging_name()
    with contextlib.suppress(OSError):
        make_folder(place.parent)
        move_new(folder, place)
        remove_tree(place)


def outlived(paths: Paths) -> list[Path]:
    """Checkpoints of packs that are published: nothing will go on from them."""
    return [folder for folder in sorted(paths.checkpoints.glob("*")) if _is_outlived(paths, folder)]


def _is_outlived(paths: Paths, folder: Path) -> bool:
    try:
        _, pack = _described(folder)
        return all(_is_stored(paths, key, weights=pack.weights) for key in pack.members)
    except (DamageError, UnknownError, OSError, StoreError):
        return False


def _is_stored(paths: Paths, key: str, *, weights: bool) -> bool:
    member = paths.member(key)
    kept = not weights or (member / members.WEIGHTS).exists() or paths.weights(key).is_dir()
    return member.is_dir() and kept
