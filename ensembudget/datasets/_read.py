"""Reads text files of bounded size, plain or compressed by gzip."""

import gzip
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import DatasetError, reason, told
from ..files import open_regular

MOST_BYTES = 2**28  # of a text file, decompressed
MOST_JSON = 2**25  # bytes of a JSON file: parsed, each can take 25 bytes of memory
MOST_LINES = 2**23  # of one file: in memory, even an empty line takes 8 bytes


def read_text(path: Path, spec: str, most: int = MOST_BYTES) -> str:
    r"""The text of a UTF-8 file, without a byte order mark; a `.gz` is decompressed.

    Args:
        path: The file.
        spec: What messages call the dataset.
        most: The most bytes of decompressed text; the file is refused if it holds more.

    Raises:
        DatasetError: The file is missing, too long, not UTF-8, or a damaged `.gz`.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "poem.gz"
        >>> _ = path.write_bytes(gzip.compress("né\n".encode()))
        >>> read_text(path, "characters:poem.gz")
        'né\n'
    """
    said = f"dataset {spec!r}: {told(str(path))}"
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if path.suffix == ".gz":
                with gzip.GzipFile(fileobj=file) as whole:
                    content = whole.read(most + 1)
            else:
                content = file.read(most + 1) if size <= most else b""
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DatasetError(f"{said} is not a readable gzip file: {reason(error)}.") from None
    except OSError as error:
        raise DatasetError(f"{said} cannot be read: {reason(error)}.") from None
    if len(content) > most or (size > most and path.suffix != ".gz"):
        raise DatasetError(f"{said} holds more than {most:,} bytes of text, the most that are read.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DatasetError(
            f"{said} is not UTF-8: byte {error.start:,}, in line {line:,}, is 0x{content[error.start]:02x}."
            " Save it as UTF-8."
        ) from None


def read_lines(path: Path, spec: str) -> list[str]:
    """The lines of a text file, without line breaks; raises what `read_text` raises."""
    text = read_text(path, spec)
    if (count := text.count("\n")) > MOST_LINES:
        raise DatasetError(
            f"dataset {spec!r}: {told(str(path))} has {count:,} lines, and at most {MOST_LINES:,} are read."
        )
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]


def read_json(path: Path, spec: str) -> Mapping[str, Any]:
    """The JSON object in a file; raises `DatasetError` as `read_text` does, and where it holds no object."""
    said = f"dataset {spec!r}: {told(str(path))}"
    try:
        found = json.loads(read_text(path, spec, MOST_JSON))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{said} is not JSON: {reason(error)}.") from None
    if not isinstance(found, dict):
        raise DatasetError(f"{said} is a JSON {type(found).__name__}, and an object is needed.")
    return found
