"""Members of a bundle, as scoring reads them from a store."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import StoreError
from ..records import TRAINING_ABI, Member, Plan, PlannedCell, Probed, ProbeSubject, Run
from ..store import Stored
from ..store.briefs import Brief
from ..store.documents import DamageError, Document, UnknownError, record, sha256, unseal
from ..store.members import LOGITS, SAMPLES, logits_file
from .folder import FILE_BYTES, GivenFolder, parsed
from .index import LABELS, MEMBERS, PROBES, BundleIndex, cell_file, history_file
from .tensors import tensors_of

if TYPE_CHECKING:
    import pandas as pd

Arrays = Mapping[str, NDArray[Any]]

# Of one member: what its arrays are called after its seed and a dot.
LOGIT_ARRAYS = ("validation_logits", "test_logits")
LOSS = "train_loss"


@dataclass(frozen=True)
class BundledMembers:
    """Members from a bundle; read like those of a store, never written.

    Attributes:
        root: The folder of the bundle, for messages.
        members: By key.
        probes: What probes found, by the key of what they were of.
        histories: Columns that members recorded each epoch, by the key of the member.
    """

    root: Path
    members: Mapping[str, Stored]
    probes: Mapping[str, Probed]
    histories: Mapping[str, Arrays]

    def __contains__(self, key: str) -> bool:
        return key in self.members

    def read(self, key: str) -> Stored:
        """A member.

        Raises:
            StoreError: The bundle does not have it.
        """
        if key not in self.members:
            raise StoreError(f"bundle {str(self.root)!r} has no member {key}.")
        return self.members[key]

    def briefs(self, runs: Iterable[Run]) -> Iterator[Brief]:
        """How the stored ones of these members ended, in the order of the runs."""
        for run in runs:
            if run.key in self:
                member = self.read(run.key).member
                yield Brief(run.key, member.status == "done", member.seconds)

    def history(self, key: str, name: str) -> "pd.DataFrame | None":
        """What was recorded each epoch while a member trained, or None; `name` is `epochs`."""
        import pandas as pd

        found = self.histories.get(key) if name == "epochs" else None
        return None if found is None else pd.DataFrame(dict(found))

    def saved_probe(self, subject: ProbeSubject) -> Probed | None:
        """What exactly this probe found, or None."""
        found = self.probes.get(subject.key)
        return found if found is not None and found.subject == subject else None


def read_members(folder: GivenFolder, index: BundleIndex, plan: Plan) -> tuple[BundledMembers, list[str]]:
    """The members of a bundle, and what has changed since it was published.

    Raises:
        BundleError: They cannot be read.
    """
    described = dict(_descriptions(folder))
    faults: list[str] = []
    labels = {name: array.copy() for name, array in _tensors(folder, LABELS).items()}  # torch wants its own
    for name, array in labels.items():
        if array.ndim != 1 or array.dtype != np.int64:
            raise folder.refusal(f"has labels {name!r} of shape {array.shape} and type {array.dtype}")
        if sha256(array.tobytes()) != name:
            faults.append(f"{LABELS}: labels {name[:12]} do not match their digest")
    members: dict[str, Stored] = {}
    histories: dict[str, Arrays] = {}
    for pool in plan.pools:
        mine = {key: described.pop(key) for key in _keys(pool) if key in described}
        if not mine:
            continue
        for stored, files in _pool(folder, index, pool, mine, labels):
            members[stored.member.run.key] = stored
            if index.dtype == "float32" and sha256(_file_of(stored)) != _listed(files):
                faults.append(
                    f"{cell_file(pool.cell.key)}: logits or labels of member {stored.member.run.seed} of"
                    f" width {pool.cell.width} are not those that were published with its description"
                )
        if history_file(pool.cell.key) in folder:
            histories |= _histories(folder, pool, mine)
    faults += [f"{MEMBERS}: member {key[:12]} is none of the study's" for key in described]
    probes = {one.subject.key: one for one in _probes(folder)}
    return BundledMembers(folder.root, members, probes, histories), faults


def _keys(pool: PlannedCell) -> list[str]:
    return [run.key for run in pool.runs]


def _lines(folder: GivenFolder, name: str) -> Iterator[Document]:
    """Sealed documents, one a line, with their digests as `sha256`."""
    for number, line in enumerate(folder.text(name).removesuffix("\n").split("\n"), 1):
        try:
            digest = parsed(line.encode()).get("sha256")
            yield unseal(line.encode()) | {"sha256": digest}
        except (ValueError, AttributeError, DamageError) as error:
            raise folder.refusal(f"has line {number} of {name} damaged: {error}") from None
        except UnknownError as error:
            raise folder.refusal(f"is of a newer version ({name}: {error}); update ensembudget") from None


def _descriptions(folder: GivenFolder) -> Iterator[tuple[str, tuple[Member, Document]]]:
    for document in _lines(folder, MEMBERS):
        try:
            member, unknown = record(Member, document.get("member"))
            abi = document.get("training_abi", 1)
            if unknown or type(abi) is not int or abi > TRAINING_ABI:
                raise UnknownError(f"field {unknown[0]!r}" if unknown else f"training ABI {abi}")
        except UnknownError as error:
            raise folder.refusal(f"has a member that this version does not know: {error}") from None
        yield member.run.key, (member, document)


def _probes(folder: GivenFolder) -> Iterator[Probed]:
    for document in _lines(folder, PROBES) if PROBES in folder else ():
        try:
            yield record(Probed, document.get("probe"))[0]
        except UnknownError as error:
            raise folder.refusal(f"has a probe that this version does not know: {error}") from None


def _tensors(folder: GivenFolder, name: str) -> dict[str, NDArray[Any]]:
    try:
        return tensors_of(folder.read(name, FILE_BYTES))
    except ValueError as error:
        raise folder.refusal(f"has {name}, whose arrays cannot be read: {error}") from None


def _pool(
    folder: GivenFolder,
    index: BundleIndex,
    pool: PlannedCell,
    described: Mapping[str, tuple[Member, Document]],
    labels: Arrays,
) -> Iterator[tuple[Stored, Document]]:
    key = pool.cell.key
    found, named = _tensors(folder, cell_file(key)), index.labels.get(key)
    if named is None or not {named.validation, named.test, *named.samples} <= set(labels):
        raise folder.refusal(f"has no labels for {cell_file(key)}")
    samples = dict(zip(SAMPLES, (labels[name] for name in named.samples), strict=False))
    expected = {f"{one.run.seed}.{name}" for one, _ in described.values() for name in (*LOGIT_ARRAYS, LOSS)}
    if set(found) != expected:
        odd = min(set(found) ^ expected)
        raise folder.refusal(f"has {cell_file(key)} with other arrays than those of its members: {odd!r}")
    given = dict(zip(LOGIT_ARRAYS, (labels[named.validation], labels[named.test]), strict=True))
    if any(len(some) != len(one) for some, one in zip(samples.values(), given.values(), strict=False)):
        raise folder.refusal(f"has {cell_file(key)} with labels of other samples than there are")
    logits = [found[name] for name in expected if not name.endswith(LOSS)]
    classes = {one.shape[-1] for one in logits if one.ndim == 2 and len(one)}
    for name in expected:
        wanted = "float32" if name.endswith(LOSS) else index.dtype
        fits = found[name].dtype == wanted or (samples and found[name].dtype == "float16")
        if not fits or (name.endswith(LOSS) and (found[name].dtype != wanted or found[name].ndim != 1)):
            raise folder.refusal(f"has {cell_file(key)} with {name!r} of another type than {wanted}")
    for member, document in described.values():
        arrays = {name: found[f"{member.run.seed}.{name}"] for name in (*LOGIT_ARRAYS, LOSS)}
        for name in LOGIT_ARRAYS:
            if arrays[name].ndim != 2 or len(arrays[name]) != len(given[name]) or len(classes) != 1:
                raise folder.refusal(
                    f"has {cell_file(key)} with {member.run.seed}.{name} of shape {arrays[name].shape} for"
                    f" {len(given[name])} labels"
                )
        if member.status == "done" and not np.isfinite(arrays["test_logits"]).all():
            raise folder.refusal(f"has {cell_file(key)} with logits of member {member.run.seed} not finite")
        yield _stored(member, document, arrays, given, samples), document


def _stored(member: Member, document: Document, arrays: Arrays, labels: Arrays, samples: Arrays) -> Stored:
    validation, test = LOGIT_ARRAYS
    return Stored(
        member,
        arrays[validation].astype(np.float32, copy=False),
        labels[validation],
        arrays[test].astype(np.float32, copy=False),
        labels[test],
        arrays[LOSS],
        digest=str(document["sha256"]),
        kept_in=arrays[test].dtype.name,
        **samples,
    )


def _file_of(stored: Stored) -> bytes:
    """The member's file of logits as its store has it."""
    validation, test = (one.astype(stored.kept_in) for one in (stored.validation_logits, stored.test_logits))
    labels = stored.validation_labels, stored.test_labels
    return logits_file((validation, test), labels, stored.train_loss, stored.samples)


def _listed(document: Document) -> object:
    files = document.get("files")
    logits = files.get(LOGITS) if isinstance(files, dict) else None
    return logits.get("sha256") if isinstance(logits, dict) else None


def _histories(folder: GivenFolder, pool: PlannedCell, mine: Iterable[str]) -> dict[str, Arrays]:
    found = _tensors(folder, history_file(pool.cell.key))
    keys = {str(run.seed): run.key for run in pool.runs if run.key in mine}
    histories: dict[str, dict[str, NDArray[Any]]] = {}
    for name, array in found.items():
        seed, _, column = name.partition(".")
        if seed not in keys or not column or array.ndim != 1 or array.dtype != np.float64:
            raise folder.refusal(f"has {history_file(pool.cell.key)} with {name!r}, which is no history")
        histories.setdefault(keys[seed], {})[column] = array
    for columns in histories.values():
        if len({len(array) for array in columns.values()}) > 1:
            raise folder.refusal(f"has {history_file(pool.cell.key)} with columns of several lengths")
    return {key: columns for key, columns in histories.items()}


def probe_lines(probes: Iterable[Probed]) -> list[dict[str, Any]]:
    """What probes found, as documents to seal."""
    return [{"probe": json.loads(one.to_json())} for one in probes]
