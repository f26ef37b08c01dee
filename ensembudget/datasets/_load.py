"""Loads a dataset by name: decodes it the first time, then reads it from the cache."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..catalog import DATASETS
from ..errors import DatasetError, reason
from ..files import open_regular
from ..records import AnyTask, Colour, Study, Task
from ..tasks.images import SMALLEST_IMAGE
from ._base import Arrays, Pictures, Treatment
from ._cache import DECODER, cache_folder, digest_of, keep, read_source
from ._data import Data
from ._form import CHANNELS, LARGEST, formed
from ._pictures import arrays_of


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


def task_of(
    spec: str, image_size: int | None = None, *, colour: Colour | None = None, skip_corrupt: bool = False
) -> AnyTask:
    """Classes, channels and image size of a dataset, which is read only where they are not known."""
    name, _ = split_name(spec)
    _check_size(image_size)
    known = DATASETS[name].task
    if known is None:
        return load(spec, image_size, colour=colour, skip_corrupt=skip_corrupt).task
    if not isinstance(known, Task):
        return known
    channels = CHANNELS[colour] if colour else known.channels
    return known._replace(image_size=image_size or known.image_size, channels=channels)


def label(spec: str, image_size: int | None = None, colour: Colour | None = None) -> str:
    """What tables call a dataset: its folder's name, or its own where it has no folder.

    Example:
        >>> label("cifar10"), label("parquet:data/photos", image_size=16, colour="grey")
        ('cifar10', 'photos-16px-grey')
    """
    name, place = split_name(spec)
    if place:
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(place).resolve().name)
    return "-".join([name, *([f"{image_size}px"] if image_size else []), *([colour] if colour else [])])


def load(
    spec: str, image_size: int | None = None, *, colour: Colour | None = None, skip_corrupt: bool = False
) -> Data:
    """Loads a dataset: decodes it the first time, then reads it from the cache.

    Args:
        spec: As in a study: `digits`, `folder:DIR`; a folder is relative to the current one.
        image_size: Pixels a side to which images are resized; None leaves them as they are.
        colour: Whether all images become "rgb" or "grey"; None leaves them as they are.
        skip_corrupt: Whether files that cannot be decoded are left out; `Data.notes` counts them.

    Raises:
        DatasetError: Missing, empty or damaged files, fewer than two classes, labels out of
            range, images that are not square or smaller than 8 pixels, images of several sizes or
            colours of which nothing is said; such an image size.

    Example:
        >>> load("digits", 16, colour="rgb").arrays.train_inputs.shape
        (1000, 16, 16, 3)
    """
    name, place = split_name(spec)
    _check_size(image_size)
    part, form = DATASETS[name], Treatment(image_size, colour, skip_corrupt)
    with opened(spec):
        files = sorted(part.files(place)) if part.files else []
    source = hashlib.sha256(json.dumps([DECODER, name, form, *_fingerprint(files)]).encode()).hexdigest()
    called = label(spec, image_size, colour)
    if files and (cached := read_source(source, called)):
        return cached
    with opened(spec):
        found = part.decode(place)
        arrays, notes = (
            arrays_of(found, spec, form) if isinstance(found, Pictures) else (formed(found, form), ())
        )
    check(arrays, spec)
    data = Data(called, digest_of(arrays), arrays, notes)
    try:
        keep(data, source)
    except OSError as error:
        raise DatasetError(
            f"dataset {spec!r} cannot be kept in the cache {str(cache_folder())!r}: {error}."
            " Name another folder in ENSEMBUDGET_CACHE."
        ) from None
    return data


def study_data(study: Study) -> Data:
    """The dataset of a study, as the study wants it; raises as `load`."""
    return load(study.dataset, study.image_size, colour=study.colour, skip_corrupt=study.skip_corrupt)


def study_task(study: Study) -> AnyTask:
    """Classes, channels and image size of a study's dataset; raises as `load`."""
    return task_of(study.dataset, study.image_size, colour=study.colour, skip_corrupt=study.skip_corrupt)


@contextmanager
def opened(spec: str) -> Iterator[None]:
    """Around what reads a dataset's folder: what the disk refuses names the dataset."""
    try:
        yield
    except OSError as error:
        place = f" ({str(error.filename)!r})" if error.filename else ""
        raise DatasetError(f"dataset {spec!r} cannot be read: {reason(error)}{place}.") from None


def check(arrays: Arrays, spec: str) -> None:
    """Refuses arrays that networks cannot be trained on."""
    for part, images, labels in (
        ("training", arrays.train_inputs, arrays.train_labels),
        ("test", arrays.test_inputs, arrays.test_labels),
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
    height, width = arrays.train_inputs.shape[1:3]
    if height != width or height < SMALLEST_IMAGE:
        raise DatasetError(
            f"dataset {spec!r} has images of {height}x{width} pixels; they must be square and at least"
            f" {SMALLEST_IMAGE}x{SMALLEST_IMAGE}. Set image_size in the study, and each is cut to its central"
            " square and resized."
        )
    if arrays.test_inputs.shape[1:] != arrays.train_inputs.shape[1:]:
        raise DatasetError(
            f"dataset {spec!r} has training images of shape {arrays.train_inputs.shape[1:]} and test"
            f" images of shape {arrays.test_inputs.shape[1:]}; they must be alike. Set image_size"
            " or colour in the study."
        )


def _check_size(image_size: int | None) -> None:
    if image_size is not None and not SMALLEST_IMAGE <= image_size <= LARGEST:
        raise DatasetError(
            f"image_size {image_size:,} is not between {SMALLEST_IMAGE} and {LARGEST:,} pixels, the smallest"
            " and largest images that are trained on."
        )


def _fingerprint(files: list[Path]) -> Iterator[str]:
    # Paths are relative to the common folder: moving the dataset changes nothing, moving a file within does.
    root = os.path.commonpath([path.parent for path in files]) if files else ""
    for path in files:
        try:
            with open_regular(path) as file:
                yield f"{path.relative_to(root).as_posix()} {hashlib.file_digest(file, 'sha256').hexdigest()}"
        except OSError as error:
            raise DatasetError(f"cannot read {str(path)!r}: {reason(error)}.") from None
