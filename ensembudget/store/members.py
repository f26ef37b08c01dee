"""A member's folder: what lies in it, and how it is checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from ..files import read_regular
from ..records import FLOAT32, TRAINING_ABI, Environment, Member
from .documents import DamageError, Document, UnknownError, facts, parse, record, seal, unseal
from .half import as_kept
from .publishing import Files

if TYPE_CHECKING:
    from ..training.loop import Trained

DESCRIPTION, LOGITS, WEIGHTS = "member.json", "logits.safetensors", "weights.safetensors"

# The arrays of the logits' file; members with several answers a sample have those of the second line too.
ARRAYS = ("validation_logits", "validation_labels", "test_logits", "test_labels", "train_loss")
SAMPLES = ("validation_samples", "test_samples")

Tensors = Mapping[str, NDArray[Any]]
Labels = tuple[NDArray[np.int64], NDArray[np.int64]]


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
        validation_samples: The sample of each answer, (answer,), where samples have several answers; the
            arrays above then have one row an answer, not a sample. None where every sample has one answer.
        test_samples: As `validation_samples`.
        kept_in: The dtype of the logits on disk; here they are float32.
    """

    member: Member
    validation_logits: NDArray[np.float32]
    validation_labels: NDArray[np.int64]
    test_logits: NDArray[np.float32]
    test_labels: NDArray[np.int64]
    train_loss: NDArray[np.float32]
    digest: str
    validation_samples: NDArray[np.int64] | None = None
    test_samples: NDArray[np.int64] | None = None
    kept_in: str = FLOAT32

    @property
    def samples(self) -> Labels | None:
        """The samples of validation and test answers; None where every sample has one answer."""
        if self.validation_samples is None or self.test_samples is None:
            return None
        return self.validation_samples, self.test_samples


def files_of(
    trained: "Trained", labels: Labels, environment: Environment, samples: Labels | None = None
) -> Files:
    """What a member's folder holds, by name.

    Args:
        trained: What training gave.
        labels: Labels of validation and test.
        environment: Where it was trained.
        samples: The samples of these labels, if samples have several; logits may then be kept in float16.
    """
    member = Member(
        run=trained.run,
        status="done" if trained.diverged_at is None else "diverged",
        diverged_at=trained.diverged_at,
        parameters=trained.parameters,
        seconds=trained.seconds,
        environment=environment,
        unit=trained.unit,
    )
    logits = trained.validation_logits, trained.test_logits
    if samples is not None:
        validation, test = as_kept([*zip(logits, labels, strict=True)])
        logits = validation, test
    files: dict[str, bytes | Path] = {LOGITS: logits_file(logits, labels, trained.train_loss, samples)}
    if trained.weights is not None:
        files[WEIGHTS] = serialise(trained.weights)
    if trained.history is not None:
        files |= {path.name: path for path in sorted(trained.history.iterdir())}
    body = {
        "training_abi": member.run.cell.training_abi,
        "member": member.model_dump(mode="json"),
        "files": listing(files),
    }
    return files | {DESCRIPTION: seal(body)}


def logits_file(
    logits: tuple[NDArray[Any], NDArray[Any]],
    labels: Labels,
    train_loss: NDArray[np.float32],
    samples: Labels | None,
) -> bytes:
    """A member's file of logits, in the dtype given; each pair is validation and test."""
    whole: list[NDArray[Any]] = [logits[0], labels[0], logits[1], labels[1], train_loss, *(samples or ())]
    names = ARRAYS if samples is None else ARRAYS + SAMPLES
    return serialise(dict(zip(names, whole, strict=True)))


def listing(files: Files) -> dict[str, dict[str, int | str]]:
    """Sizes and digests, as a description lists them."""
    return {name: facts(content) for name, content in files.items()}


def checked(folder: Path, key: str) -> Stored:
    """A member, read and compared with what it says of itself.

    Raises:
        DamageError: It is not what was published.
        UnknownError: It is intact, but not all of it is known to this version.
        OSError: A file is missing, or the disk fails.
    """
    member, document, digest = described(folder, key)
    found = arrays(check_files(folder, document, DESCRIPTION, LOGITS))
    if missing := set(ARRAYS) - set(found):
        raise UnknownError(f"no array {min(missing)!r}")
    kept_in = found["test_logits"].dtype.name
    for name in ("validation_logits", "test_logits"):
        found[name] = found[name].astype(np.float32, copy=False)
    named = {name: found[name] for name in (*ARRAYS, *SAMPLES) if name in found}
    return Stored(member, digest=digest, kept_in=kept_in, **named)


def described(folder: Path, key: str) -> tuple[Member, Document, str]:
    """A member as it describes itself, the whole description, and its digest.

    Raises:
        DamageError: It is not what was published.
        UnknownError: It is intact, but not all of it is known to this version.
        OSError: It is missing, or the disk fails.
    """
    document, digest = description(folder / DESCRIPTION)
    member, unknown = record(Member, document.get("member"))
    abi = document.get("training_abi", 1)
    if abi > TRAINING_ABI:
        raise UnknownError(f"training ABI {abi}; this version knows up to {TRAINING_ABI}")
    if member.run.key != key and unknown:  # what else is unknown decides nothing
        raise UnknownError(f"field {unknown[0]!r}")
    if member.run.key != key:
        raise DamageError("it is another member's")
    return member, document, digest


def description(path: Path) -> tuple[Document, str]:
    """A folder's sealed document, and its digest.

    Raises:
        DamageError: A byte of it has changed.
        UnknownError: A newer version wrote it.
        OSError: It is missing, or the disk fails.
    """
    raw = read_regular(path)
    return unseal(raw), str(parse(raw)["sha256"])


def check_files(folder: Path, document: Document, own: str, asked: str) -> bytes:
    """Compares a folder's files with their description, and returns what one of them holds.

    Args:
        folder: What is checked.
        document: As `description` read it.
        own: The description's own name, which it does not list.
        asked: The file whose content is asked for.

    Raises:
        DamageError: A file is missing, changed or too many.
        UnknownError: It lists no such file.
        OSError: A file is missing, or the disk fails.
    """
    present, listed = {path.name for path in folder.iterdir()} - {own}, _listed(document)
    if asked not in listed:
        raise UnknownError(f"it lists no {asked}")
    if set(listed) != present:
        raise DamageError(f"files {sorted(present)}, but {sorted(listed)} were published")
    content = (folder / asked).read_bytes()
    for name, (size, digest) in listed.items():
        found = facts(content if name == asked else folder / name)
        if found["bytes"] != size:
            raise DamageError(f"{name} has {found['bytes']} bytes instead of {size}")
        if found["sha256"] != digest:
            raise DamageError(f"{name} does not match its digest")
    return content


def lists(document: Document, name: str) -> bool:
    """Whether a file of this name was published, by an intact description."""
    return name in _listed(document)


def _listed(document: Document) -> dict[str, tuple[int, str]]:
    try:
        return {name: (one["bytes"], one["sha256"]) for name, one in document["files"].items()}
    except (KeyError, TypeError, AttributeError):
        raise UnknownError("it lists no files") from None


def serialise(tensors: Tensors) -> bytes:
    return safetensors.numpy.save({k: np.ascontiguousarray(v) for k, v in tensors.items()})


def arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """Arrays out of bytes whose digest was right.

    Raises:
        UnknownError: They are no safetensors.
    """
    try:
        return safetensors.numpy.load(content)
    except safetensors.SafetensorError as error:
        raise UnknownError(f"arrays that cannot be read: {error}") from None
