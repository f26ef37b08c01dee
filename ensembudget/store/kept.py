"""Plans, searches, choices and results of probes: small documents, found by their subject."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import rfc8785

from ..errors import StoreError, reason
from ..files import read_regular, settle, write_whole
from ..records import Choice, Contest, Plan, Probed, ProbeSubject, Record, Search, Study
from .documents import (
    DamageError,
    ShapeError,
    UnknownError,
    canonical,
    parse,
    record,
    seal,
    sha256,
    unseal,
)
from .paths import CHOICES, PLANS, PROBES, SEARCHES

Kept = TypeVar("Kept", bound=Record)
Subject = TypeVar("Subject", bound=Record)


def record_key(subject: Record) -> str:
    """A key that a new field with a default does not change: only values other than defaults are hashed."""
    return sha256(rfc8785.dumps(subject.model_dump(mode="json", exclude_defaults=True)))


@dataclass(frozen=True)
class Shelf(Generic[Kept, Subject]):
    """Documents of one kind.

    Each lies under the key of its subject, and is compared with it when it is read: a default that
    has changed since gives two subjects one key. What lies under another key, as an older version
    made it, is found by comparing too.

    Attributes:
        folder: Where they lie.
        kind: What one is called.
        model: Its record.
        subject: What one is of.
        remedy: What to do where one is damaged.
        key: Of a subject.
        old_key: The key that format 1 had for a subject; None where documents lie under their key alone, and
            no other is looked at.
    """

    folder: Path
    kind: str
    model: type[Kept]
    subject: Callable[[Kept], Subject]
    remedy: str
    key: Callable[[Subject], str] = record_key
    old_key: Callable[[Subject], str] | None = None

    def find(self, subject: Subject) -> Kept | None:
        """The document of this subject, or None.

        Raises:
            StoreError: It is there, and cannot be read.
        """
        own, others = [*itertools.takewhile(Path.exists, self._own(subject))], list[Path]()
        if self.old_key:
            own.append(self._path(self.old_key(subject)))
            others = sorted(set(self.folder.glob("*.json")) - set(own))
        for path in [*own, *others]:
            try:
                found = self._read(path)
            except (DamageError, UnknownError) as error:
                if path in own:
                    raise self._refusal(path, error) from None
                continue  # another subject's
            if found is not None and self.subject(found) == subject:
                return found
        return None

    def save(self, kept: Kept, *, over_damage: bool = False) -> None:
        """Keeps a document in the place of an earlier one of its subject, durably.

        Args:
            kept: The document.
            over_damage: Whether it may replace one that is damaged.

        Raises:
            StoreError: There is one that cannot be read.
            OSError: The disk refuses.
        """
        subject = self.subject(kept)
        with contextlib.suppress(StoreError):  # said below, where it stands in the way
            if self.find(subject) == kept:
                settle([self.folder])
                return
        for path in self._own(subject):
            try:
                found = self._read(path)
            except (DamageError, UnknownError) as error:
                if isinstance(error, UnknownError) or not over_damage:
                    raise self._refusal(path, error) from None
                break
            if found is None or self.subject(found) == subject:
                break
        write_whole(path, seal({self.kind: kept.model_dump(mode="json")}), durable=True)

    def every(self) -> Iterator[tuple[str, Kept | DamageError | UnknownError | StoreError]]:
        """All documents that are here by the stems of their files, or why one cannot be read."""
        for path in sorted(self.folder.glob("*.json")):
            try:
                found = self._read(path)
            except (DamageError, UnknownError, StoreError) as error:
                yield path.stem, error
            else:
                if found is not None:
                    yield path.stem, found

    def _own(self, subject: Subject) -> Iterator[Path]:
        """Its key's places: the second where the first is another's, and so on."""
        key = self.key(subject)
        return (self._path(key if number == 1 else f"{key}-{number}") for number in itertools.count(1))

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _read(self, path: Path) -> Kept | None:
        try:
            raw = read_regular(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreError(f"{self.kind} {str(path)!r} cannot be read: {reason(error)}.") from None
        document = parse(raw)
        sealed = isinstance(document, dict) and "sha256" in document
        try:  # format 1 is the record alone
            found, unknown = record(self.model, unseal(raw).get(self.kind) if sealed else document)
        except ShapeError as error:
            raise (error if sealed else DamageError(str(error))) from None
        if unknown:
            raise UnknownError(f"field {unknown[0]!r}")
        return found

    def _refusal(self, path: Path, error: Exception) -> StoreError:
        if isinstance(error, DamageError):
            return StoreError(f"{self.kind} {str(path)!r} is damaged ({error}). {self.remedy}")
        return StoreError(
            f"{self.kind} {str(path)!r} was written by a newer version of ensembudget ({error}) and is left"
            " in place. Update ensembudget, or name another --store."
        )


def plans(root: Path) -> Shelf[Plan, Study]:
    return Shelf(
        root / PLANS,
        "plan",
        Plan,
        lambda plan: plan.study.unplaced,
        "`run` the study again: that plans it anew.",
        old_key=_old_study_key,
    )


def searches(root: Path) -> Shelf[Search, Search]:
    return Shelf(
        root / SEARCHES,
        "search",
        Search,
        search_subject,
        "It says what the search has spent: restore it, or delete it to spend from 0 again.",
        old_key=lambda search: sha256(canonical([_old_study_key(search.study), search.arm, search.budget])),
    )


def choices(root: Path) -> Shelf[Choice, Contest]:
    return Shelf(
        root / CHOICES,
        "choice",
        Choice,
        lambda choice: choice.contest,
        "Delete it: `tune` makes it again from the members that are there.",
        old_key=record_key,  # format 1 had no choices
    )


def probes(root: Path) -> Shelf[Probed, ProbeSubject]:
    return Shelf(
        root / PROBES,
        "probe",
        Probed,
        lambda probed: probed.subject,
        "Delete it: `run` measures it again at the members that are there.",
        key=lambda subject: subject.key,
    )


def search_subject(search: Search) -> Search:
    """A search without its rounds, wherever its dataset's folder lies."""
    return search.model_copy(update={"study": search.study.unplaced, "rounds": []})


# Fields of a study, its arms and their recipes that format 1 did not know.
METHODS = ("method", "method_options")
OF_RECIPES = {"beta2", "clip", "label_smoothing", "schedule_by", "warmup_steps"}
LATER = (
    "subsets",
    "recipe_at",
    "tune",
    "image_size",
    "colour",
    "skip_corrupt",
    "vocabulary",
    "length",
    "first_look",
    "probes",
    "scored_positions",
    *METHODS,
)
EXCLUDED: dict[str, Any] = {
    **dict.fromkeys(LATER, True),
    "recipe": OF_RECIPES,
    "arms": {"__all__": {**dict.fromkeys(METHODS, True), "recipe": OF_RECIPES}},
}


def _old_study_key(study: Study) -> str:
    return sha256(rfc8785.dumps(study.model_dump(mode="json", exclude=EXCLUDED)))[:32]
