"""Decoded datasets on disk, each under the digest of its arrays."""

import hashlib
import os
from pathlib import Path

import numpy as np
import safetensors.numpy

from ..errors import DatasetError
from ._base import Arrays
from ._data import Data

DECODER = 1  # to be raised when the same files decode to other arrays than before


def cache_folder() -> Path:
    """Where decoded datasets are kept: `$ENSEMBUDGET_CACHE`, else the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("ENSEMBUDGET_CACHE") or Path(home) / "ensembudget")


def open_cached(digest: str, name: str) -> Data:
    """Reads a dataset from the cache by its digest.

    Raises:
        DatasetError: It is missing, or its arrays have another digest.
    """
    path = cache_folder() / "arrays" / f"{digest}.safetensors"
    try:
        tensors = safetensors.numpy.load(path.read_bytes())
        arrays = Arrays(
            **{k: v for k, v in tensors.items() if k != "classes"}, classes=int(tensors["classes"][0])
        )
    except (OSError, safetensors.SafetensorError, KeyError, TypeError) as error:
        raise DatasetError(f"the decoded images of {name!r} are not in the cache: {error}.") from None
    if digest_of(arrays) != digest:
        raise DatasetError(f"the decoded images of {name!r} in the cache are damaged: {path}.")
    return Data(name, digest, arrays)


def digest_of(arrays: Arrays) -> str:
    """SHA-256 over the arrays, their shapes and the number of classes."""
    whole = hashlib.sha256(str(arrays.classes).encode())
    for array in arrays[:4]:
        whole.update(str(array.shape).encode())
        whole.update(np.ascontiguousarray(array).data)
    return whole.hexdigest()


def to_bytes(arrays: Arrays) -> bytes:
    """The arrays as a safetensors file, which `open_cached` reads."""
    tensors = {k: np.ascontiguousarray(v) for k, v in arrays._asdict().items() if k != "classes"}
    return safetensors.numpy.save(tensors | {"classes": np.array([arrays.classes])})
