"""What every record is: frozen, checked, and equal after a round trip through JSON."""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

import rfc8785
from pydantic import BaseModel, ConfigDict, Field

# What the numbers mean, not how the code is written: raised when the same run would train to other
# logits, so that a store never mixes the two. A golden-logits test fails when it should be raised.
# 2: the plateau schedule counts epochs from 1, and random streams no longer depend on mode and recipe.
TRAINING_ABI = 2
FIRST_ABI = 1  # of members that name none

Fraction = Annotated[float, Field(ge=0, lt=1)]

Positive = Annotated[float, Field(gt=0)]


class Record(BaseModel):
    """A frozen record; unknown fields and wrong types are faults."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's, without cached properties: a copy with another field has another key."""
        copied = super().model_copy(update=update, deep=deep)
        for name in set(vars(copied)) - set(type(self).model_fields):
            del vars(copied)[name]
        return copied

    def to_json(self) -> str:
        """Canonical JSON (RFC 8785): equal records, equal bytes."""
        return rfc8785.dumps(self.model_dump(mode="json")).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        return cls.model_validate_json(text)


# Of records that docs/study.md lists: a docstring below a field is its description. Not of all records, for
# pydantic reads the source of each.
DOCUMENTED = ConfigDict(use_attribute_docstrings=True)


class KeyedRecord(Record):
    """A record that is part of a key, under a rule by which a new field changes no key that exists.

    The fields in `always_keyed` enter every key unless they are None. Any other field enters only where it
    differs from its default. So a field is added with the default that means what was done before it
    existed, and is not added to `always_keyed`.
    """

    always_keyed: ClassVar[frozenset[str]]

    def key_facts(self) -> dict[str, Any]:
        """What enters a key, as JSON values."""
        facts: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if value is not None and (name in self.always_keyed or value != field.get_default()):
                facts[name] = value.key_facts() if isinstance(value, KeyedRecord) else value
        return facts


def content_key(facts: dict[str, Any]) -> str:
    """SHA-256 of canonical JSON, in hexadecimal; facts that name no training ABI are of the first."""
    return hashlib.sha256(rfc8785.dumps({"training_abi": FIRST_ABI, **facts})).hexdigest()
