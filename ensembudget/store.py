"""Members on disk: one immutable folder each, under a content hash, published by renaming.

    store.json                   the format
    members/ab/<key>/            member.json, logits.safetensors, perhaps weights.safetensors, and
                                 epochs.parquet, steps.parquet where a history was asked for
    plans/<study>.json           what a study came to, so that a report needs no dataset
    failures/<key>.json          the last exception of a run that raised one; a success removes it
    quarantine/<key>-<n>/        what did not match its digests; never used, never overwritten
    tmp/<uuid>/                  staging; anything in it was never published

A member is written to tmp/, synced, and renamed into place. Renaming onto a folder that is there
fails, so of two who trained the same member the first wins. Its digests are checked at every read.
"""

import contextlib
import errno
import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import ValidationError

from .errors import StoreError
from .files import sync, write_new, write_whole
from .records import Environment, Member, Plan, Search, Study
from .training.loop import Trained

FORMAT = 1

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Stored:
    """A member with its arrays, as they were published.

    Attributes:
        member: What it is and how it went.
        validation_logits: (sample, class), float32.
        validation_labels: (sample,).
        test_logits: (sample, class), float32.
        test_labels: (sample,).
        train_loss: (epoch,), nats.
        digest: Of everything published.
    """

    member: Member
    validation_logits: NDArray[np.float32]
    validation_labels: NDArray[np.int64]
    test_logits: NDArray[np.float32]
    test_labels: NDArray[np.int64]
    train_loss: NDArray[np.float32]
    digest: str


class Store:
    """A folder of members.

    Raises:
        StoreError: It cannot be read, or a newer version made it.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        header = self.root / "store.json"
        with _explained(self.root):
            if not header.exists():
                return  # made by the first who writes: asking must not make one
            try:
                found = json.loads(header.read_text())["format"]
            except (ValueError, KeyError, TypeError):
                raise StoreError(f"{str(header)!r} is not a store's header. Name another --store.") from None
            if type(found) is not int or not 1 <= found <= FORMAT:
                raise StoreError(
                    f"store {str(self.root)!r} has format {found}; this version reads up to {FORMAT}."
                    " Update ensembudget, or name another --store."
                )

    def __contains__(self, key: str) -> bool:
        return self._folder(key).is_dir()

    def read(self, key: str) -> Stored:
        """A member, after checking every byte against its digest.

        Raises:
            StoreError: It is not there; or it is damaged, and has been moved to quarantine.
        """
        folder = self._folder(key)
        if not folder.is_dir():
            raise StoreError(f"store {str(self.root)!r} has no member {key}.")
        try:
            return _checked(folder, key)
        except OSError as error:
            gone = FileNotFoundError | IsADirectoryError | NotADirectoryError
            if not isinstance(error, gone):  # a disk that fails says nothing of the member
                raise StoreError(
                    f"member {key} of store {str(self.root)!r} cannot be read: {error.strerror}."
                ) from None
            raise self._damaged(folder, key, error) from None
        except (ValueError, KeyError, TypeError, AttributeError, safetensors.SafetensorError) as error:
            raise self._damaged(folder, key, error) from None

    def _damaged(self, folder: Path, key: str, error: Exception) -> StoreError:
        """Moves a member that is not what was published out of the way."""
        place = self.root / "quarantine" / f"{folder.name}-{uuid.uuid4().hex[:8]}"
        damage = f"member {key} of store {str(self.root)!r} is damaged ({str(error).splitlines()[0]})"
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(place)
        except OSError as refused:
            return StoreError(f"{damage} and cannot be moved to {str(place)!r}: {refused.strerror}.")
        return StoreError(
            f"{damage} and was moved to {str(place)!r}. The same `run` trains it anew; its files stay"
            " there to be looked at."
        )

    def publish(
        self, trained: Trained, labels: tuple[NDArray[np.int64], NDArray[np.int64]], environment: Environment
    ) -> bool:
        """Makes a member part of the store, all of it or nothing.

        Args:
            trained: What training gave.
            labels: Of validation and of test.
            environment: Where it was trained.

        Returns:
            Whether this one was published; False where the member was already there.

        Raises:
            StoreError: The disk is full or cannot be written; nothing was published.
        """
        member = Member(
            run=trained.run,
            status="done" if trained.diverged_at is None else "diverged",
            diverged_at=trained.diverged_at,
            parameters=trained.parameters,
            seconds=trained.seconds,
            environment=environment,
        )
        arrays: Tensors = {
            "validation_logits": trained.validation_logits,
            "validation_labels": labels[0],
            "test_logits": trained.test_logits,
            "test_labels": labels[1],
            "train_loss": trained.train_loss,
        }
        files: dict[str, bytes | Path] = {"logits.safetensors": _serialise(arrays)}
        if trained.weights is not None:
            files["weights.safetensors"] = _serialise(trained.weights)
        if trained.history is not None:
            files |= {path.name: path for path in sorted(trained.history.iterdir())}
        listing = {name: _facts(content) for name, content in files.items()}
        body = {"member": json.loads(member.to_json()), "files": listing}
        files["member.json"] = json.dumps(body | {"sha256": _sha256(_canonical(body))}).encode()
        with self._writing():
            published = self._publish_folder(self._folder(trained.run.key), files)
            (self.root / "failures" / f"{trained.run.key}.json").unlink(missing_ok=True)
        return published

    def history(self, key: str, name: str, columns: list[str] | None = None) -> pd.DataFrame | None:
        """What was recorded while a member trained, or None where nothing was.

        Args:
            key: The member's; `read` it first, which checks every byte.
            name: `epochs` or `steps`.
            columns: Those that are wanted; None for all.
        """
        path = self._folder(key) / f"{name}.parquet"
        return pd.read_parquet(path, columns=columns) if path.exists() else None

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        """A folder of one's own on the store's disk, gone afterwards."""
        folder = self.root / "tmp" / uuid.uuid4().hex
        with self._writing():
            folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def record_failure(self, key: str, reason: str) -> None:
        """Remembers why a run raised; the run is tried again next time."""
        with self._writing():
            self._put(f"failures/{key}.json", json.dumps({"reason": reason}).encode())

    def failure(self, key: str) -> str | None:
        """Why a run raised when last tried, or None."""
        path = self.root / "failures" / f"{key}.json"
        try:
            return str(json.loads(path.read_text())["reason"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            return "unreadable: the run failed, and so did writing down why"

    def save_plan(self, plan: Plan) -> None:
        """Keeps what a study came to beside the members that it needs."""
        if self.saved_plan(plan.study) == plan:
            return
        with self._writing():
            self._put(f"plans/{_study_key(plan.study)}.json", plan.to_json().encode())

    def saved_plan(self, study: Study) -> Plan | None:
        """What exactly this study came to when it was run here, or None."""
        path = self.root / "plans" / f"{_study_key(study)}.json"
        try:
            return Plan.from_json(path.read_bytes())
        except (OSError, ValidationError):
            return None

    def save_search(self, search: Search) -> None:
        """Keeps the rounds of a search, so that the same search goes on from them."""
        with self._writing():
            self._put(f"searches/{_search_key(search)}.json", search.to_json().encode())

    def saved_search(self, empty: Search) -> Search:
        """The search as it was left, or as it is given where there is none."""
        try:
            return Search.from_json((self.root / "searches" / f"{_search_key(empty)}.json").read_bytes())
        except (OSError, ValidationError):
            return empty

    def sweep(self) -> None:
        """Removes staging that crashed runs left; call while nobody else writes."""
        shutil.rmtree(self.root / "tmp", ignore_errors=True)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Around everything that writes: the header is there, and refusals name the store."""
        with _explained(self.root):
            if not (self.root / "store.json").exists():
                self.root.mkdir(parents=True, exist_ok=True)
                self._put("store.json", json.dumps({"format": FORMAT}).encode())
            yield

    def _folder(self, key: str) -> Path:
        if len(key) != 64 or not set(key) <= set("0123456789abcdef"):
            raise StoreError(f"{key!r} is not a member's key: 64 hexadecimal digits.")
        return self.root / "members" / key[:2] / key

    def _publish_folder(self, folder: Path, files: Mapping[str, bytes | Path]) -> bool:
        with self.staging() as staging:
            for name, content in files.items():
                if isinstance(content, Path):
                    shutil.copyfile(content, staging / name)
                    sync(staging / name)
                else:
                    write_new(staging / name, content, durable=True)
            sync(staging)
            folder.parent.mkdir(parents=True, exist_ok=True)
            try:
                staging.rename(folder)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    return False
                raise
            for parent in (folder.parent, folder.parent.parent, staging.parent):
                sync(parent)
            return True

    def _put(self, name: str, content: bytes) -> None:
        """A small file, replaced whole."""
        write_whole(self.root / name, content, durable=True)


def _checked(folder: Path, key: str) -> Stored:
    """A member's folder, read and compared with what it says of itself."""
    raw = (folder / "member.json").read_bytes()
    document = json.loads(raw)
    if raw != json.dumps(document).encode():  # white space too: no byte of it is anybody else's
        raise ValueError("member.json is not as it was written")
    digest = document.pop("sha256")
    if digest != _sha256(_canonical(document)):
        raise ValueError("member.json does not match its digest")
    member = Member.from_json(_canonical(document["member"]))
    if member.run.key != key:
        raise ValueError("it is another member's")
    listed, present = set(document["files"]), {p.name for p in folder.iterdir()} - {"member.json"}
    if listed != present:
        raise ValueError(f"files {sorted(present)}, but {sorted(listed)} were published")
    for name, facts in document["files"].items():
        path = folder / name
        if path.stat().st_size != facts["bytes"]:
            raise ValueError(f"{name} has {path.stat().st_size} bytes instead of {facts['bytes']}")
        content = path.read_bytes() if name == "logits.safetensors" else path
        if _facts(content)["sha256"] != facts["sha256"]:
            raise ValueError(f"{name} does not match its digest")
        if isinstance(content, bytes):
            arrays = safetensors.numpy.load(content)
    return Stored(member, **arrays, digest=digest)


def _serialise(arrays: Tensors) -> bytes:
    return safetensors.numpy.save({k: np.ascontiguousarray(v) for k, v in arrays.items()})


def _canonical(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _facts(content: bytes | Path) -> dict[str, int | str]:
    """Size and digest of a file's content, or of a file."""
    if isinstance(content, bytes):
        return {"bytes": len(content), "sha256": _sha256(content)}
    with content.open("rb") as file:
        return {"bytes": content.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _search_key(search: Search) -> str:
    return _sha256(_canonical([_study_key(search.study), search.arm, search.budget]))


def _study_key(study: Study) -> str:
    return _sha256(study.to_json().encode())[:32]


@contextlib.contextmanager
def _explained(root: Path) -> Iterator[None]:
    """What the disk refuses, as a message that names the store."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"store {str(root)!r} cannot be written: {error.strerror or error}. Free or name another"
            " place with --store; what is published stays, and the same command goes on from there."
        ) from None
