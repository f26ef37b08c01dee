"""The index of a bundle: the dtype of its logits, which labels pools have, and every file's digest."""

from collections.abc import Mapping
from typing import Literal

from ..records import Record
from ..store.documents import DamageError, ShapeError, UnknownError, facts, record, seal, unseal
from .folder import TEXT_BYTES, GivenFolder, parsed

PLACE = "bundle"  # the folder in a report's
INDEX = f"{PLACE}/index.json"
PLAN = f"{PLACE}/plan.json"
MEMBERS = f"{PLACE}/members.jsonl"
PROBES = f"{PLACE}/probes.jsonl"
LABELS = f"{PLACE}/labels.safetensors"
COSTS = f"{PLACE}/costs.json"

LogitsDtype = Literal["float32", "float16"]


def cell_file(key: str) -> str:
    """Where the logits of a pool lie, by the key of its cell."""
    return f"{PLACE}/cells/{key}.safetensors"


def history_file(key: str) -> str:
    """Where what a pool's members recorded lies, by the key of its cell."""
    return f"{PLACE}/histories/{key}.safetensors"


class LabelNames(Record):
    """The digests of the sets of labels that a pool was scored on.

    Where a sample has several labels, also which samples these are of; such sets lie beside the labels.
    """

    validation: str
    test: str
    validation_samples: str | None = None
    test_samples: str | None = None

    @property
    def samples(self) -> tuple[str, ...]:
        """Of validation and of test, or none."""
        if self.validation_samples is None or self.test_samples is None:
            return ()
        return self.validation_samples, self.test_samples


class FileFacts(Record):
    """Size and SHA-256 of a file."""

    bytes: int
    sha256: str


class BundleIndex(Record):
    """The index of a bundle.

    Attributes:
        dtype: Of all logits. Those in float32 are as they were published, which of tasks with several answers
            a sample may be float16. Of those in float16, each sample's logarithm of the sum of exponentials
            was subtracted first.
        labels: By cells' keys.
        histories: Whether what members recorded is here.
        files: Of the report and the bundle but this one, by name.
    """

    dtype: LogitsDtype
    labels: dict[str, LabelNames]
    histories: bool
    files: dict[str, FileFacts]


def sealed_index(
    dtype: LogitsDtype, labels: Mapping[str, LabelNames], files: Mapping[str, bytes], *, histories: bool
) -> bytes:
    """The index of files by their names and contents."""
    listed = {name: FileFacts.model_validate(facts(content)) for name, content in sorted(files.items())}
    index = BundleIndex(dtype=dtype, labels=dict(labels), histories=histories, files=listed)
    return seal({"bundle": index.model_dump(mode="json", exclude_none=True)})


def read_index(folder: GivenFolder) -> BundleIndex:
    """Reads the index of a bundle.

    Raises:
        BundleError: There is none, or it cannot be read, or a newer version wrote it.
    """
    raw = folder.read(INDEX, TEXT_BYTES)
    try:
        parsed(raw)
        found, unknown = record(BundleIndex, unseal(raw).get("bundle"))
    except (ValueError, DamageError, ShapeError) as error:
        raise folder.refusal(f"has an index that is none: {error}") from None
    except UnknownError as error:
        raise folder.refusal(f"is of a newer version ({error}); update ensembudget") from None
    if unknown:
        raise folder.refusal(f"is of a newer version (field {unknown[0]!r}); update ensembudget")
    return found


def index_faults(folder: GivenFolder, index: BundleIndex) -> list[str]:
    """Every file that is not as it was sealed, one sentence each."""
    found = [
        f"{name}: is not in the index" for name in sorted(set(folder.sizes) - {INDEX} - set(index.files))
    ]
    for name, sealed in index.files.items():
        if name not in folder:
            found.append(f"{name}: is in the index and not in the folder")
        elif facts(folder.root / name) != sealed.model_dump():
            found.append(f"{name}: has changed since the folder was sealed")
    return found
