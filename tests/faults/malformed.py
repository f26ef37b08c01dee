"""Malformed studies: a sound one, and what is put into its fields, made from the records that read them."""

import datetime
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from ensembudget.studies.fields import TABLES, schema

SOUND: dict[str, Any] = {
    "name": "tiny",
    "description": "a study that a test can afford",
    "family": "wide_resnet",
    "options": {"depth": 10},
    "dataset": "digits",
    "train_size": 60,
    "budgets": [5178],
    "members": [1],
    "pool": 2,
    "recipe": {"epochs": 1, "batch_size": 32},
}

DAY = datetime.date(1979, 5, 27)
TEXTS = (
    "",
    "x\ny",
    "\x1b[31mred\x1b[0m",
    "\u202egnp.exe",
    "Ä\U0001f600\u200b",
    "a" * 10_000,
    "'; DROP",
    "../x",
)
NUMBERS = (-1, 0, 1.5, 1e308, 2**53, 2**63 - 1, -(2**63), float("nan"), float("inf"), float("-inf"))
OTHERS = (True, [], {}, DAY, [[[[1]]]], {"a": {"b": 1}}, ["1"], [1.5], [{}])
VALUES: tuple[Any, ...] = ("x", *TEXTS, *NUMBERS, *OTHERS)


class Case(NamedTuple):
    """A malformed study: its text, and what the message about it must say."""

    text: str
    words: tuple[str, ...]


def toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return value.isoformat() if isinstance(value, datetime.date) else str(value)


def document(fields: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(name)} = {toml(value)}\n" for name, value in fields.items())


def with_field(table: str, name: str, value: Any) -> str:
    """The sound study with one field of one of its tables set."""
    if not table:
        return document(SOUND | {name: value})
    inner = {**SOUND.get(table, {}), **FIRST.get(table, {}), name: value}
    return document(SOUND | {table: [inner] if table in LISTED else inner})


LISTED = ("arms", "probes")  # tables that a study has several of
# What a table needs before any other of its fields can be wrong alone.
FIRST: dict[str, dict[str, Any]] = {
    "arms": {"name": "plain"},
    "probes": {"kind": "line"},
    "tune": {"values": {"weight_decay": [1e-4, 1e-3]}},
}


def fits(value: Any, kind: dict[str, Any], whole: dict[str, Any]) -> bool:
    """Whether a JSON schema lets a value be: an oracle that shares no code with what reads studies."""
    if "$ref" in kind:
        return fits(value, whole["$defs"][kind["$ref"].rpartition("/")[2]], whole)
    if some := kind.get("anyOf") or kind.get("oneOf"):
        return any(fits(value, one, whole) for one in some)
    if "enum" in kind:
        return value in kind["enum"]
    if "const" in kind:
        return bool(value == kind["const"])
    match kind.get("type"):
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool) and _within(value, kind)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool) and _within(value, kind)
        case "boolean":
            return isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "array":
            long = isinstance(value, list) and len(value) >= kind.get("minItems", 0)
            return long and all(fits(one, kind["items"], whole) for one in value)
        case "object":
            return isinstance(value, dict) and _has_such(value, kind, whole)
    return False


def _within(value: float, kind: dict[str, Any]) -> bool:
    infinity = float("inf")
    return (
        abs(value) < infinity
        and value >= kind.get("minimum", -infinity)
        and value > kind.get("exclusiveMinimum", -infinity)
        and value <= kind.get("maximum", infinity)
        and value < kind.get("exclusiveMaximum", infinity)
    )


def _has_such(value: dict[str, Any], kind: dict[str, Any], whole: dict[str, Any]) -> bool:
    known, more = kind.get("properties", {}), kind.get("additionalProperties", False)
    return set(kind.get("required", ())) <= set(value) and all(
        fits(one, known[name], whole) if name in known else bool(more) and fits(one, more, whole)
        for name, one in value.items()
    )


def places() -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """Every field of a study: its table, its name, its JSON schema, and the schema of all."""
    whole = schema()
    for table, model in TABLES.items():
        own = whole["$defs"][model.__name__] if table else whole
        for name, kind in own["properties"].items():
            yield table, name, kind, whole
