"""What a member is made of, what a study wants of it, and weights that were published after it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import StoreError
from ..records import Cell, Environment, Record
from .documents import DamageError, Document, record, seal
from .half import as_kept
from .members import DESCRIPTION as MEMBER
from .members import LOGITS, WEIGHTS, Stored, arrays, check_files, described, description, listing, serialise
from .publishing import Files

if TYPE_CHECKING:
    from ..training.loop import Trained

Artefact = Literal["logits", "weights", "history"]

DESCRIPTION = "artefact.json"


def wanted(cell: Cell, *, keep_weights: bool) -> frozenset[Artefact]:
    """What a study wants of a cell's members.

    Args:
        cell: Which members; those that record have a history.
        keep_weights: As the study says.
    """
    found: set[Artefact] = {"logits"}
    if keep_weights and cell.is_trained:  # rounded weights follow from trained ones
        found.add("weights")
    if cell.record is not None:
        found.add("history")
    return frozenset(found)


class LaterWeights(Record):
    """How weights that were published after their member were trained.

    `logits` is the digest of the member's file of logits, which training gave again to the byte.
    """

    key: str
    logits: str
    environment: Environment
    seconds: float


def logits_digest(member: Path) -> str:
    """The digest of the logits of a member's folder, as its description lists it.

    Raises:
        DamageError: The description is not what was published, or another member's.
        UnknownError: It is intact, but not all of it is known to this version.
        OSError: It is missing, or the disk fails.
    """
    _, document, _ = described(member, member.name)
    return logits_of(document)


def logits_of(document: Document) -> str:
    """The digest of the logits that a member's description lists."""
    return str(document["files"][LOGITS]["sha256"])


def later_files(trained: "Trained", environment: Environment, logits: str) -> Files:
    """What the folder of a member's later weights holds, by name."""
    assert trained.weights is not None
    later = LaterWeights(key=trained.run.key, logits=logits, environment=environment, seconds=trained.seconds)
    return _described(later, serialise(trained.weights))


def later_copy(folder: Path, key: str, logits: str) -> Files:
    """What the folder of later weights holds that are those of a member of another store, by name.

    Args:
        folder: The member's, with weights.
        key: The member's.
        logits: The digest of its logits.

    Raises:
        DamageError: They are not what was published.
    """
    member, document, _ = described(folder, key)
    weights = check_files(folder, document, MEMBER, WEIGHTS)
    later = LaterWeights(key=key, logits=logits, environment=member.environment, seconds=member.seconds)
    return _described(later, weights)


def _described(later: LaterWeights, weights: bytes) -> Files:
    files: Files = {WEIGHTS: weights}
    return {**files, DESCRIPTION: seal({"weights": later.model_dump(mode="json"), "files": listing(files)})}


def read_later(folder: Path, key: str, logits: str) -> dict[str, NDArray[Any]]:
    """Weights that were published after their member.

    Raises:
        DamageError: They are not what was published, or give other logits than the member's.
        UnknownError: They are intact, but not known to this version.
        OSError: A file is missing, or the disk fails.
    """
    document, _ = description(folder / DESCRIPTION)
    later, _ = record(LaterWeights, document.get("weights"))
    if later.key != key:
        raise DamageError("they are another member's")
    if later.logits != logits:
        raise DamageError("they give other logits than the member has")
    return arrays(check_files(folder, document, DESCRIPTION, WEIGHTS))


def check_same_logits(stored: Stored, trained: "Trained", environment: Environment) -> None:
    """Refuses weights that are not those of the stored member.

    Raises:
        StoreError: They give other logits.
    """
    if found := difference(stored, trained, environment):
        raise StoreError(
            f"the member was trained again for its weights and gave other logits than those stored ({found})."
            " Nothing was changed. Train it where it was trained then, or into another --store."
        )


def difference(stored: Stored, trained: "Trained", environment: Environment) -> str | None:
    """By how much the logits of two trainings of one member differ, and where they were trained; None if by
    no bit.
    """
    then = stored.validation_logits, stored.test_logits
    again = [trained.validation_logits, trained.test_logits]
    if stored.samples and all(one.shape == now.shape for one, now in zip(then, again, strict=True)):
        parts = zip(again, (stored.validation_labels, stored.test_labels), strict=True)
        again = [one.astype(np.float32) for one in as_kept([*parts])]
    pairs = [*zip(then, again, strict=True)]
    if all(one.shape == other.shape and one.tobytes() == other.tobytes() for one, other in pairs):
        return None
    before, now = stored.member.environment.model_dump(), environment.model_dump()
    changed = [f"{name} {before[name]} then, {now[name]} now" for name in now if before[name] != now[name]]
    return f"{_off(pairs)}; {'; '.join(changed) or 'in the same environment'}"


def _off(pairs: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> str:
    if any(one.shape != other.shape for one, other in pairs):
        return "of another shape"
    with np.errstate(invalid="ignore"):
        apart = np.concatenate([np.abs(one - other).ravel() for one, other in pairs])
    finite = apart[np.isfinite(apart)]
    return f"off by up to {finite.max():.2g}" if len(finite) == len(apart) else "some of them not finite"
