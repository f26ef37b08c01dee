"""Decoded datasets on disk, each under the digest of its arrays."""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import safetensors.numpy

from ..errors import DatasetError, reason
from ..files import write_whole
from ..records import TokenTask
from ._base import Arrays
from ._data import Data

CACHE = "ENSEMBUDGET_CACHE"  # names the folder
# Names in a file; images keep those from before there was anything else.
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
ABOUT, OUTSIDE = "about", "outside_inputs"
UNREADABLE = (safetensors.SafetensorError, LookupError, TypeError, ValueError)  # what other content raises
DECODER = 2  # to be raised when the same files decode to other arrays than before


def cache_folder() -> Path:
    """Where decoded datasets are kept: `$ENSEMBUDGET_CACHE`, else the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(CACHE) or Path(home) / "ensembudget")


def open_cached(digest: str, name: str) -> Data:
    """Reads a dataset from the cache by its digest.

    Raises:
        DatasetError: It is missing, or its arrays have another digest.
    """
    path = _arrays_path(digest)
    try:
        arrays = _from_bytes(path.read_bytes())
    except (OSError, *UNREADABLE) as error:
        raise DatasetError(f"the decoded images of {name!r} are not in the cache: {error}.") from None
    if digest_of(arrays) != digest:
        raise DatasetError(f"the decoded images of {name!r} in the cache are damaged: {path}.")
    return Data(name, digest, arrays)


def cached_bytes(digest: str, name: str) -> bytes:
    """A dataset's file in the cache, to be sent to a machine that has another cache.

    Raises:
        DatasetError: It is missing.
    """
    try:
        return _arrays_path(digest).read_bytes()
    except OSError as error:
        raise DatasetError(f"the decoded images of {name!r} are not in the cache: {error}.") from None


def has_cached(folder: Path, digest: str) -> bool:
    """Whether a cache folder, of this machine or another that is seen here, has a dataset."""
    return _arrays_path(digest, folder).is_file()


def keep_bytes(folder: Path, digest: str, content: bytes) -> None:
    """Keeps a dataset's file that another machine sent.

    Raises:
        DatasetError: It is not what has this digest; nothing was written.
        OSError: The disk refuses.
    """
    try:
        found = digest_of(_from_bytes(content))
    except UNREADABLE as error:
        raise DatasetError(f"what was sent as dataset {digest} cannot be read: {reason(error)}.") from None
    if found != digest:
        raise DatasetError(f"what was sent as dataset {digest} is dataset {found}.")
    write_whole(_arrays_path(digest, folder), content)


def read_source(source: str, name: str) -> Data | None:
    """What these files decoded to, or None: the cache may be deleted or damaged at any time."""
    try:
        kept = json.loads(_source_path(source).read_text())
        data = open_cached(kept["digest"], name)
        arrays = data.arrays._replace(class_names=tuple(kept["class_names"]))
        return replace(data, arrays=arrays, notes=tuple(kept["notes"]))
    except (DatasetError, OSError, ValueError, KeyError, TypeError):
        return None


def keep(data: Data, source: str) -> None:
    """Keeps a dataset under its digest, and what else is known of it under the digest of its files.

    Raises:
        OSError: The disk refuses.
    """
    about = {"digest": data.digest, "class_names": data.class_names, "notes": data.notes}
    write_whole(_arrays_path(data.digest), to_bytes(data.arrays))
    write_whole(_source_path(source), json.dumps(about).encode())


def _from_bytes(content: bytes) -> Arrays:
    tensors = safetensors.numpy.load(content)
    train, train_labels, test, test_labels = (tensors[name] for name in ARRAYS)
    arrays = Arrays(
        *(train, train_labels, test, test_labels, int(tensors["classes"][0])),
        outside_inputs=tensors.get(OUTSIDE),
    )
    if ABOUT not in tensors:
        return arrays
    about = json.loads(tensors[ABOUT].tobytes())
    return arrays._replace(task=TokenTask(*about["task"]), tokenizer=about["tokenizer"])


def _arrays_path(digest: str, folder: Path | None = None) -> Path:
    return (folder or cache_folder()) / "arrays" / f"{digest}.safetensors"


def _source_path(source: str) -> Path:
    return cache_folder() / "sources" / f"{source}.json"


def digest_of(arrays: Arrays) -> str:
    """SHA-256 over the arrays, their shapes, the number of classes, and what tokens mean."""
    whole = hashlib.sha256(str(arrays.classes).encode())
    beside = [] if arrays.outside_inputs is None else [arrays.outside_inputs]
    for array in [*arrays[:4], *beside]:
        whole.update(str(array.shape).encode())
        whole.update(np.ascontiguousarray(array).data)
    whole.update(_about(arrays))
    return whole.hexdigest()


def to_bytes(arrays: Arrays) -> bytes:
    """The arrays as a safetensors file, which `open_cached` reads."""
    tensors = {k: np.ascontiguousarray(v) for k, v in zip(ARRAYS, arrays[:4], strict=True)}
    if about := _about(arrays):
        tensors[ABOUT] = np.frombuffer(about, np.uint8)
    if arrays.outside_inputs is not None:
        tensors[OUTSIDE] = np.ascontiguousarray(arrays.outside_inputs)
    return safetensors.numpy.save(tensors | {"classes": np.array([arrays.classes])})


def _about(arrays: Arrays) -> bytes:
    """What tokens mean, as JSON; nothing of images."""
    if arrays.task is None:
        return b""
    return json.dumps({"task": arrays.task, "tokenizer": arrays.tokenizer}).encode()
