"""What an exported folder says of itself: `card.json`, which carries its own digest."""

import json
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SerializeAsAny,
    ValidationError,
)

from ..catalog import INPUTS, TASKS
from ..errors import ExportError
from ..records import FLOAT32, AnyTask, Interval, Options, Record
from ..store.documents import canonical, sha256
from ..tasks._base import Feed
from .inputs._base import Inputs

FORMAT = 2  # of a card; raised when a version that knows only older formats would misread it
IMAGES_ALONE = 1  # the format of cards when only ensembles of images were exported
CARD = "card.json"

FittedOn = Literal["validation", "test"]


def _of_their_kind(facts: Any) -> Any:
    """Inputs as the part of their kind reads them."""
    if isinstance(facts, Inputs):
        return facts
    kind = facts.get("kind") if isinstance(facts, dict) else None
    if not isinstance(kind, str) or kind not in INPUTS:
        raise ValueError(f"inputs of kind {kind!r} are not known here; known are {', '.join(INPUTS)}")
    try:
        return INPUTS[kind].model_validate(facts)
    except ValidationError as error:
        raise ValueError(_first_fault(error)) from None


class Blueprint(Record):
    """All of an ensemble but its weights.

    Members are fed `inputs`. Their probabilities are averaged, and the average is tempered by `temperature`.
    Weights are rounded to `dtype`.
    """

    family: str
    options: Options
    width: PositiveInt
    members: PositiveInt
    class_names: Annotated[list[str], Field(min_length=2)]
    inputs: Annotated[SerializeAsAny[Inputs], BeforeValidator(_of_their_kind)]
    temperature: PositiveFloat
    dtype: str = FLOAT32

    @property
    def task(self) -> AnyTask:
        return self.inputs.task(len(self.class_names))

    @cached_property
    def feed(self) -> Feed:
        """Turns stored samples into the members' input."""
        return self.inputs.feed(len(self.class_names))


class ExportedData(Record):
    """What the members were trained on, and how the temperature was fitted.

    `test_answers` is how many answers were scored: one a test sample, or more where positions are predicted.
    """

    name: str
    digest: str
    training_samples: PositiveInt
    validation_samples: NonNegativeInt
    test_samples: PositiveInt
    test_answers: PositiveInt
    temperature_fitted_on: FittedOn


class ExportedBudget(Record):
    """The budget that the split spends, and what the split costs of it."""

    amount: PositiveInt
    kind: str
    dtype: str
    parameters: PositiveInt
    bytes: PositiveInt


class Quality(Record):
    """How good the ensemble is on the test samples.

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


def scored_on(card: Card) -> str:
    """What the quality was measured on, in words."""
    kind = TASKS[card.blueprint.inputs.kind]
    samples = f"{card.data.test_samples:,} test {kind.samples}"
    return f"{card.data.test_answers:,} positions of {samples}" if kind.positions else samples


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
    if found not in (FORMAT, IMAGES_ALONE):
        raise ExportError(
            f"{CARD} of {where} has format {found!r}; this version reads {FORMAT} and {IMAGES_ALONE}. Update"
            " ensembudget."
        )
    try:
        return Card.model_validate_json(canonical(_of_images(body) if found == IMAGES_ALONE else body))
    except (KeyError, TypeError, AttributeError):
        raise ExportError(f"{CARD} of {where} cannot be used: it lacks fields of format {found}.") from None
    except ValidationError as error:
        raise ExportError(f"{CARD} of {where} cannot be used: {_first_fault(error)}.") from None


def _of_images(body: dict[str, Any]) -> dict[str, Any]:
    """A card of the first format as one of this format."""
    plan, data = dict(body["blueprint"]), dict(body["data"])
    facts = {name: plan.pop(name) for name in ("image_size", "mean", "std")}
    counts = {f"{part}_samples": data.pop(f"{part}_images") for part in ("training", "validation", "test")}
    return {
        **body,
        "blueprint": {**plan, "inputs": {"kind": "images", **facts}},
        "data": {**data, **counts, "test_answers": counts["test_samples"]},
    }


def _first_fault(error: ValidationError) -> str:
    """Where the first fault is, and what it is."""
    first = error.errors(include_url=False)[0]
    return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
