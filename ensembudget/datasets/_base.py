"""What a dataset is, and how its images become uint8 arrays once and stay so, under a digest."""

import hashlib
import json
import os
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from ..catalog import DATASETS
from ..errors import DatasetError
from ..families._base import SMALLEST_IMAGE
from ..records import Task

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
DECODER = 1  # raised when the same files would decode to other arrays


class Arrays(NamedTuple):
    """Decoded images (sample, row, column, channel), and labels (sample,) in [0, classes)."""

    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels
    classes: int


@dataclass(frozen=True)
class Data:
    """A dataset in memory: its arrays, what they are called and the digest they are known by."""

    name: str
    digest: str
    arrays: Arrays

    @property
    def task(self) -> Task:
        size, _, channels = self.arrays.train_images.shape[1:]
        return Task(self.arrays.classes, channels, size)


@dataclass(frozen=True)
class Dataset:
    """One source of images.

    Attributes:
        decode: `decode(place)` reads everything; the place is what follows the name's colon.
        files: `files(place)` lists what it reads, so that a change is seen; None where the
            arrays come with a library.
        task: What is known without reading, None where only the files tell.
        needs_place: Whether the name is followed by a folder, as in `parquet:DIR`.
    """

    decode: Callable[[str], Arrays]
    files: Callable[[str], Iterable[Path]] | None = None
    task: Task | None = None
    needs_place: bool = False


def cache_folder() -> Path:
    """Where decoded datasets are kept: `$ENSEMBUDGET_CACHE`, else the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("ENSEMBUDGET_CACHE") or Path(home) / "ensembudget")


def split_name(spec: str) -> tuple[str, str]:
    """`parquet:DIR` as its part's name and its place, checked against each other.

    Raises:
        DatasetError: A folder is missing, or given where none belongs.
    """
    name, colon, place = spec.partition(":")
    part = DATASETS[name]
    if part.needs_place and not place:
        raise DatasetError(f"dataset {spec!r} needs a folder after a colon, as in {name}:DIR.")
    if colon and not part.needs_place:
        raise DatasetError(f"dataset {name!r} takes no folder, but was given {place!r}. Write {name!r}.")
    return name, place


def task_of(spec: str) -> Task:
    """Classes, channels and image size of a dataset, reading it only where there is no other way."""
    name, _ = split_name(spec)
    return DATASETS[name].task or load(spec).task


def label(spec: str) -> str:
    """What tables call a dataset: the part's name, or the folder's where one is given."""
    name, place = split_name(spec)
    if not place:
        return name
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(place).resolve().name)


def load(spec: str) -> Data:
    """A dataset, decoded the first time and from the cache after that.

    Raises:
        DatasetError: Missing, empty or damaged files, fewer than two classes, labels out of
            range, images that are not square or smaller than 8 pixels.

    Example:
        >>> load("digits").arrays.train_images.shape
        (1000, 8, 8, 1)
    """
    name, place = split_name(spec)
    part = DATASETS[name]
    files = sorted(part.files(place)) if part.files else []
    source = hashlib.sha256(json.dumps([DECODER, name, *_fingerprint(files)]).encode()).hexdigest()
    pointer = cache_folder() / "sources" / f"{source}.txt"
    if files and pointer.exists():
        try:
            return open_cached(pointer.read_text(), label(spec))
        except (DatasetError, OSError, ValueError):
            pass  # the cache is disposable: a damaged entry is decoded anew
    arrays = part.decode(place)
    check(arrays, spec)
    digest = digest_of(arrays)
    try:
        _write(cache_folder() / "arrays" / f"{digest}.safetensors", _to_bytes(arrays))
        _write(pointer, digest.encode())
    except OSError as error:
        raise DatasetError(
            f"dataset {spec!r} cannot be kept in the cache {str(cache_folder())!r}: {error}."
            " Name another folder in ENSEMBUDGET_CACHE."
        ) from None
    return Data(label(spec), digest, arrays)


def open_cached(digest: str, name: str) -> Data:
    """The dataset of a digest out of the cache.

    Raises:
        DatasetError: It is not there, or not what the digest says.
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


def check(arrays: Arrays, spec: str) -> None:
    """Refuses arrays that no network here could be trained on."""
    for part, images, labels in (
        ("training", arrays.train_images, arrays.train_labels),
        ("test", arrays.test_images, arrays.test_labels),
    ):
        if len(images) == 0:
            raise DatasetError(f"dataset {spec!r} has no {part} images.")
        if len(images) != len(labels):
            raise DatasetError(f"dataset {spec!r} has {len(images)} {part} images but {len(labels)} labels.")
        if labels.min() < 0 or labels.max() >= arrays.classes:
            wrong = int(np.flatnonzero((labels < 0) | (labels >= arrays.classes))[0])
            raise DatasetError(
                f"dataset {spec!r}: label {labels[wrong]} of {part} image {wrong} is not in"
                f" 0..{arrays.classes - 1} ({arrays.classes} classes)."
            )
    present = len(np.unique(arrays.train_labels))
    if present < 2:
        raise DatasetError(f"dataset {spec!r} has images of {present} class; at least two are needed.")
    height, width = arrays.train_images.shape[1:3]
    if height != width or height < SMALLEST_IMAGE:
        raise DatasetError(
            f"dataset {spec!r} has images of {height}x{width} pixels; they must be square and at least"
            f" {SMALLEST_IMAGE}x{SMALLEST_IMAGE}. Resize them first."
        )
    if arrays.test_images.shape[1:] != arrays.train_images.shape[1:]:
        raise DatasetError(
            f"dataset {spec!r} has training images of shape {arrays.train_images.shape[1:]} and test"
            f" images of shape {arrays.test_images.shape[1:]}; they must be alike."
        )


def stack(images: Iterable[tuple[str, Images]], spec: str) -> Images:
    """Decoded images as one array; all must be of one size.

    Raises:
        DatasetError: Two images differ in size or channels; names both.
    """
    kept: list[Images] = []
    first = ""
    for name, image in images:
        if kept and image.shape != kept[0].shape:
            raise DatasetError(
                f"dataset {spec!r} has images of several shapes: {first} is {kept[0].shape}, {name} is"
                f" {image.shape} (row, column, channel). Resize them first."
            )
        first = first or name
        kept.append(image)
    return np.stack(kept) if kept else np.empty((0, 0, 0, 0), np.uint8)


def permutation(count: int) -> NDArray[np.int64]:
    """The one order in which sources without an order of their own are cut; the same everywhere."""
    return np.random.default_rng(0).permutation(count)


def _fingerprint(files: list[Path]) -> Iterator[str]:
    # Relative to the folder they have in common: which part a file is of counts, where it lies does not.
    root = os.path.commonpath([path.parent for path in files]) if files else ""
    for path in files:
        try:
            with path.open("rb") as file:
                yield f"{path.relative_to(root).as_posix()} {hashlib.file_digest(file, 'sha256').hexdigest()}"
        except OSError as error:
            raise DatasetError(f"cannot read {str(path)!r}: {error.strerror}.") from None


def _to_bytes(arrays: Arrays) -> bytes:
    tensors = {k: np.ascontiguousarray(v) for k, v in arrays._asdict().items() if k != "classes"}
    return safetensors.numpy.save(tensors | {"classes": np.array([arrays.classes])})


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        staged.write_bytes(content)
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)
