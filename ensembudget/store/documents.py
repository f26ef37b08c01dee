"""JSON documents that carry their own digest, and readers that know what other versions wrote.

A document is sealed by `sha256`, the digest of the rest of it as canonical JSON; every format is,
so that damage can be told from what is merely unknown. Format 1 has no field `format`.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from ..files import open_regular
from ..records import STORED, Record

FORMAT = 2  # of a document; raised when a version that knows only older formats would misread it

Document = dict[str, Any]
R = TypeVar("R", bound=Record)


class DamageError(Exception):
    """Stored data differ from what was written."""


class UnknownError(Exception):
    """Stored data are intact, but were written by a newer version."""


class ShapeError(UnknownError):
    """Stored data are intact, but no record that this version knows."""


def seal(body: Document) -> bytes:
    """A document with its format and digest."""
    body = {"format": FORMAT, **body}
    return json.dumps(body | {"sha256": sha256(canonical(body))}).encode()


def unseal(raw: bytes) -> Document:
    """A sealed document without its digest.

    Raises:
        DamageError: A byte of it has changed.
        UnknownError: A newer version wrote it.
    """
    document = parse(raw)
    if not isinstance(document, dict) or "sha256" not in document:
        raise DamageError("it has no digest")
    if raw != json.dumps(document).encode():  # white space counts too: no byte of it is ours to change
        raise DamageError("it is not as it was written")
    if document.pop("sha256") != sha256(canonical(document)):
        raise DamageError("it does not match its digest")
    known_format(document)
    return document


def parse(raw: bytes) -> Any:
    """JSON.

    Raises:
        DamageError: It is not.
    """
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise DamageError(f"it is not JSON: {error}") from None


def known_format(document: Document) -> int:
    """The format of an intact document.

    Raises:
        UnknownError: This version does not know it.
    """
    found = document.get("format", 1)
    if type(found) is not int or not 1 <= found <= FORMAT:
        raise UnknownError(f"format {found}; this version reads up to {FORMAT}")
    return found


def record(model: type[R], document: Any) -> tuple[R, list[str]]:
    """A record out of an intact document, without what a newer version says beside it.

    Args:
        model: The record's class.
        document: What is to be read.

    Returns:
        The record, and the unknown fields that were left out; one that is null says nothing and
        is not among them.

    Raises:
        ShapeError: It is no such record.
    """
    try:
        return model.model_validate_json(canonical(document), context=STORED), []
    except ValidationError as error:
        faults = error.errors(include_url=False)
    document, unknown = json.loads(canonical(document)), []
    for fault in faults:
        where = ".".join(map(str, fault["loc"]))
        if fault["type"] != "extra_forbidden":
            raise ShapeError(f"{where or 'all of it'}: {fault['msg']}")
        *path, name = fault["loc"]
        holder = document
        for step in path:
            holder = holder[step]
        if holder.pop(name) is not None:
            unknown.append(where)
    found, more = record(model, document)
    return found, unknown + more


def canonical(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def facts(content: bytes | Path) -> dict[str, int | str]:
    """Size and digest of a file's content, or of a file."""
    if isinstance(content, bytes):
        return {"bytes": len(content), "sha256": sha256(content)}
    with open_regular(content) as file:
        return {"bytes": content.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
