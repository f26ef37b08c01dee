"""What differs between two result sets besides their numbers: studies, and what members were trained with."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..records import Study
from ..scoring.pools import Results

# What a study says of itself and not of its networks.
WORDS = ("description", "source")


class FieldDifference(NamedTuple):
    """A field in which two result sets differ.

    Attributes:
        name: Of a study, with dots; or what is recorded of members, as `trained with.torch`.
        a: Its value as JSON; "" where this side does not have it.
        b: Likewise.
    """

    name: str
    a: str
    b: str


def differing_fields(a: Results, b: Results) -> Iterator[FieldDifference]:
    """Fields of the studies that differ, then what members were trained with."""
    studies = [dict(_flat(_said(results.plan.study))) for results in (a, b)]
    recorded = [_recorded(results) for results in (a, b)]
    for one, other in (studies, recorded):
        for name in dict.fromkeys([*one, *other]):
            if one.get(name) != other.get(name):
                yield FieldDifference(name, *(_json(side.get(name)) for side in (one, other)))


def _said(study: Study) -> dict[str, Any]:
    found: dict[str, Any] = study.unplaced.model_dump(mode="json", exclude=set(WORDS))
    return found


def _flat(document: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """A document's values by the names of its fields, with dots; lists are values."""
    for name, value in document.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{name}.")
        elif value not in (None, {}, []):
            yield f"{before}{name}", value


def _recorded(results: Results) -> dict[str, list[Any]]:
    """What the members of a result set were trained with: by name, all values that occur."""
    found: dict[str, set[Any]] = {}
    for pool in results.distinct:
        for one in pool.stored:
            for name, value in one.member.environment.model_dump(mode="json").items():
                found.setdefault(f"trained with.{name}", set()).add(value)
    return {name: sorted(values, key=str) for name, values in found.items()}


def _json(value: object) -> str:
    if isinstance(value, list) and len(value) == 1:
        return _json(value[0])
    return "" if value is None else json.dumps(value)
