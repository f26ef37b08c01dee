"""Loads a dataset by name: decodes it the first time, then reads it from the cache."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..catalog import DATASETS
from ..errors import DatasetError
from ..families._build import SMALLEST_IMAGE
from ..files import write_whole
from ..records import Task
from ._base import Arrays
from ._cache import DECODER, cache_folder, digest_of, open_cached, to_bytes
from ._data import Data
from ._resize import LARGEST, resized


def split_name(spec: str) -> tuple[str, str]:
    """Splits `parquet:DIR` into the dataset's name and its folder, "" where there is none.

    Raises:
        DatasetError: A folder is missing where one is needed, or given where none is.
    """
    name, colon, place = spec.partition(":")
    part = DATASETS[name]
    if part.needs_place and not place:
        raise DatasetError(f"dataset {spec!r} needs a folder after a colon, as in {name}:DIR.")
    if colon and not part.needs_place:
        raise DatasetError(f"dataset {name!r} takes no folder, but was given {place!r}. Write {name!r}.")
    return name, place


def task_of(spec: str, image_size: int | None = None) -> Task:
    """Classes, channels and image size of a dataset, which is read only where they are not known."""
    name, _ = split_name(spec)
    known = DATASETS[name].task
    if known is None:
        return load(spec, image_size).task
    return known._replace(image_size=image_size or known.image_size)


def label(spec: str, image_size: int | None = None) -> str:
    """What tables call a dataset: its folder's name, or its own where it has no folder.

    Example:
        >>> label("cifar10"), label("parquet:data/photos", image_size=16)
        ('cifar10', 'photos-16px')
    """
    name, place = split_name(spec)
    if place:
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(place).resolve().name)
    return name if image_size is None else f"{name}-{image_size}px"


def load(spec: str, image_size: int | None = None) -> Data:
    """Loads a dataset: decodes it the first time, then reads it from the cache.

    Args:
        spec: As in a study: `digits`, `folder:DIR`.
        image_size: Pixels a side to which images are resized; None leaves them as they are.

    Raises:
        DatasetError: Missing, empty or damaged files, fewer than two classes, labels out of
            range, images that are not square or smaller than 8 pixels; such an image size.

    Example:
        >>> load("digits").arrays.train_images.shape
        (1000, 8, 8, 1)
    """
    name, place = split_name(spec)
    if image_size is not None and not SMALLEST_IMAGE <= image_size <= LARGEST:
        raise DatasetError(
            f"image_size {image_size:,} is not between {SMALLEST_IMAGE} and {LARGEST:,} pixels, the smallest"
            " and largest images that are trained on."
        )
    part = DATASETS[name]
    files = sorted(part.files(place)) if part.files else []
    size = [] if image_size is None else [f"{image_size} pixels"]
    source = hashlib.sha256(json.dumps([DECODER, name, *size, *_fingerprint(files)]).encode()).hexdigest()
    pointer = cache_folder() / "sources" / f"{source}.txt"
    called = label(spec, image_size)
    if files and pointer.exists():
        try:
            return open_cached(pointer.read_text(), called)
        except (DatasetError, OSError, ValueError):
            pass  # the cache may be deleted or damaged at any time: decode again
    arrays = part.decode(place)
    if image_size is not None:
        arrays = resized(arrays, image_size)
    check(arrays, spec)
    digest = digest_of(arrays)
    try:
        write_whole(cache_folder() / "arrays" / f"{digest}.safetensors", to_bytes(arrays))
        write_whole(pointer, digest.encode())
    except OSError as error:
        raise DatasetError(
            f"dataset {spec!r} cannot be kept in the cache {str(cache_folder())!r}: {error}."
            " Name another folder in ENSEMBUDGET_CACHE."
        ) from None
    return Data(called, digest, arrays)


def check(arrays: Arrays, spec: str) -> None:
    """Refuses arrays that networks cannot be trained on."""
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


def _fingerprint(files: list[Path]) -> Iterator[str]:
    # Paths are relative to the common folder: moving the dataset changes nothing, moving a file within does.
    root = os.path.commonpath([path.parent for path in files]) if files else ""
    for path in files:
        try:
            with path.open("rb") as file:
                yield f"{path.relative_to(root).as_posix()} {hashlib.file_digest(file, 'sha256').hexdigest()}"
        except OSError as error:
            raise DatasetError(f"cannot read {str(path)!r}: {error.strerror}.") from None
