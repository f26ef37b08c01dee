"""Arrays from an untrusted safetensors file; every size is checked before anything is allocated."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import told
from .folder import parsed

HEADER_BYTES = 8 << 20
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8"}
DIMENSIONS = 2


def tensors_of(raw: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of a file, as views of its bytes.

    Args:
        raw: The whole file.

    Raises:
        ValueError: It is no safetensors file, or one that no bundle has: with other dtypes than `DTYPES`,
            more than `DIMENSIONS` axes, a header above `HEADER_BYTES`, or bytes that belong to no array or
            to several.

    Example:
        >>> from safetensors.numpy import save
        >>> tensors_of(save({"a": np.ones((1, 2), np.float32)}))
        {'a': array([[1., 1.]], dtype=float32)}
    """
    if len(raw) < 8:
        raise ValueError(f"it has {len(raw)} bytes")
    size = int.from_bytes(raw[:8], "little")
    if size > min(HEADER_BYTES, len(raw) - 8):
        raise ValueError(f"its header is said to have {size:,} bytes; the file has {len(raw):,}")
    header = parsed(raw[8 : 8 + size])
    if not isinstance(header, dict):
        raise ValueError("its header is no object")
    header.pop("__metadata__", None)
    data = memoryview(raw)[8 + size :]
    spans = {name: _span(name, entry) for name, entry in header.items()}
    end = 0
    for start, stop, _, _ in sorted(spans.values(), key=lambda one: one[:2]):
        if start != end:
            raise ValueError(f"its arrays leave out or share bytes at {min(start, end):,}")
        end = stop
    if end != len(data):
        raise ValueError(f"its arrays have {end:,} bytes, and it has {len(data):,}")
    return {
        name: np.frombuffer(data[start:stop], dtype).reshape(shape)
        for name, (start, stop, dtype, shape) in spans.items()
    }


def _span(name: str, entry: object) -> tuple[int, int, str, tuple[int, ...]]:
    """Where an array lies: first byte, the one past its last, dtype and shape."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"array {told(name)} is not described as such")
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(code, str) or code not in DTYPES:
        raise ValueError(f"array {told(name)} is of dtype {told(code)}; read are {', '.join(DTYPES)}")
    if not _counts(shape) or len(shape) > DIMENSIONS:
        raise ValueError(f"array {told(name)} has shape {told(shape)}")
    if not _counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError(f"array {told(name)} lies at {told(offsets)}")
    needed = math.prod(shape) * np.dtype(DTYPES[code]).itemsize
    if offsets[1] - offsets[0] != needed:
        raise ValueError(
            f"array {told(name)} of shape {told(shape)} needs {needed:,} bytes and has"
            f" {offsets[1] - offsets[0]:,}"
        )
    return offsets[0], offsets[1], DTYPES[code], tuple(shape)


def _counts(given: object) -> bool:
    return isinstance(given, list) and all(type(one) is int and 0 <= one < 1 << 48 for one in given)
