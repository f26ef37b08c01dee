"""What an exported folder says of itself: `card.json`, which carries its own digest."""

import json
from typing import Annotated, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from ..errors import ExportError
from ..records import FLOAT32, Interval, Options, Record, Task
from ..store.documents import canonical, sha256

FORMAT = 1  # of a card; raised when a version that knows only older formats would misread it
CARD = "card.json"

LARGEST = 1024  # pixels a side: of the largest images that a study has

FittedOn = Literal["validation", "test"]


class Blueprint(Record):
    """All of an ensemble but its weights.

    Images (row, column, channel) are divided by 255, then normalised by `mean` and `std`, one a channel. The
    members' probabilities are averaged, and the average is tempered by `temperature`. Weights are rounded to
    `dtype`.
    """

    family: str
    options: Options
    width: PositiveInt
    members: PositiveInt
    class_names: Annotated[list[str], Field(min_length=2)]
    image_size: Annotated[PositiveInt, Field(le=LARGEST)]
    mean: Annotated[list[float], Field(min_length=1)]
    std: list[PositiveFloat]
    temperature: PositiveFloat
    dtype: str = FLOAT32

    @model_validator(mode="after")
    def _of_equal_length(self) -> "Blueprint":
        if len(self.mean) != len(self.std):
            raise ValueError(f"mean has {len(self.mean)} channels and std {len(self.std)}")
        return self

    @property
    def task(self) -> Task:
        return Task(len(self.class_names), len(self.mean), self.image_size)


class ExportedData(Record):
    """What the members were trained on, and how the temperature was fitted."""

    name: str
    digest: str
    training_images: PositiveInt
    validation_images: NonNegativeInt
    test_images: PositiveInt
    temperature_fitted_on: FittedOn


class ExportedBudget(Record):
    """The budget that the split spends, and what the split costs of it."""

    amount: PositiveInt
    kind: str
    dtype: str
    parameters: PositiveInt
    bytes: PositiveInt


class Quality(Record):
    """How good the ensemble is on the test images.

    `accuracy`, `nll` and `cnll` are means over `ensembles` disjoint ensembles of the pool, with intervals
    over members, as a report has them. What begins with `own` is of the very members that are exported, at
    their temperature; a single member has no disagreement.
    """

    ensembles: PositiveInt
    accuracy: Interval
    nll: Interval
    cnll: Interval
    own_accuracy: float
    own_nll: float
    own_disagreement: float | None


class ExportedMember(Record):
    """One member: its key in a store, its seed, and the digest of what the store has of it."""

    key: str
    seed: NonNegativeInt
    digest: str


class Provenance(Record):
    """Where the ensemble comes from."""

    study: str
    study_sha256: str
    setting: str
    chosen: Literal["lowest CNLL", "named"]
    members: list[ExportedMember]
    ensembudget: str
    torch: str


class WrittenFile(Record):
    """One format's file: its size, that of the tensors in it, and how far its answers are from the store's.

    `difference` is the largest between a probability of the file and of the stored logits, on the test set.
    """

    file: str
    file_bytes: PositiveInt
    tensor_bytes: PositiveInt
    sha256: str
    difference: NonNegativeFloat


class Card(Record):
    """What an exported folder holds, by format, and all that is known of the ensemble."""

    blueprint: Blueprint
    data: ExportedData
    budget: ExportedBudget
    quality: Quality
    provenance: Provenance
    files: dict[str, WrittenFile]


def card_bytes(card: Card) -> bytes:
    """A card as its file holds it."""
    body = {"format": FORMAT, "card": card.model_dump(mode="json")}
    return (json.dumps(body | {"sha256": sha256(canonical(body))}, indent=1) + "\n").encode()


def read_card(raw: bytes, where: str) -> Card:
    """A card out of its file.

    Args:
        raw: The file's bytes.
        where: What messages call the folder.

    Raises:
        ExportError: It is damaged, no card, or written by a newer version.
    """
    try:
        document = json.loads(raw)
        told = document.pop("sha256")
        found, body = document["format"], document["card"]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise ExportError(f"{CARD} of {where} is damaged, or no card of an exported ensemble.") from None
    if told != sha256(canonical(document)):
        raise ExportError(f"{CARD} of {where} is damaged: it does not match its digest. Export it again.")
    if found != FORMAT:
        raise ExportError(
            f"{CARD} of {where} has format {found!r}; this version reads {FORMAT}. Update ensembudget."
        )
    try:
        return Card.model_validate_json(canonical(body))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ExportError(f"{CARD} of {where} cannot be used: {place}: {first['msg']}.") from None
