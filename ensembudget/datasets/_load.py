"""Loads a dataset by name: decodes it the first time, then reads it from the cache."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..catalog import DATASETS
from ..errors import DatasetError, reason
from ..files import open_regular
from ..records import AnyTask, Colour, Study, Task
from ..tasks.images import SMALLEST_IMAGE
from ._base import Treatment
from ._cache import DECODER, cache_folder, digest_of, keep, read_source
from ._check import check
from ._data import Data
from ._form import CHANNELS, LARGEST
from ._made import check_form, made
from ._shared import shared_note
from ._tokens import LONGEST, SHORTEST

ENDINGS = re.compile(r"(\.(json|txt))?(\.gz)?$")  # of a file, which tables leave out
LARGEST_VOCABULARY = 2**17


def split_name(spec: str) -> tuple[str, str]:
    """Splits `parquet:DIR` into the dataset's name and its folder, "" where there is none.

    Raises:
        DatasetError: A folder is missing where one is needed, or given where none is.
    """
    name, colon, place = spec.partition(":")
    part = DATASETS[name]
    if part.needs_place and not place:
        what = "folder" if part.example == "DIR" else "place"
        raise DatasetError(f"dataset {spec!r} needs a {what} after a colon, as in {name}:{part.example}.")
    if colon and not part.needs_place:
        raise DatasetError(f"dataset {name!r} takes no folder, but was given {place!r}. Write {name!r}.")
    return name, place


def task_of(spec: str, image_size: int | None = None, **treatment: Any) -> AnyTask:
    """What a dataset needs of a network; the dataset is read only if that is not known.

    Args:
        spec: As in a study: `digits`, `folder:DIR`.
        image_size: Pixels a side to which images are resized.
        treatment: More of what becomes of samples, as `load` takes it.
    """
    return known_task(spec, image_size, **treatment) or load(spec, image_size, **treatment).task


def sample_notes(data: Data) -> list[str]:
    """What readers of results should know of a dataset's samples: left out, cut, resized, shared."""
    return [*data.notes, *shared_note(data.arrays)]


def task_and_notes(
    dataset: str, image_size: int | None = None, **treatment: Any
) -> tuple[AnyTask, list[str]]:
    """What a dataset asks of a network, and the notes on its samples where it has to be read to tell.

    Args:
        dataset: As in a study: `digits`, `folder:DIR`.
        image_size: Pixels a side to which images are resized.
        treatment: More of what becomes of samples, as `load_data` takes it.

    Raises:
        DatasetError: It cannot be read, or not so.
    """
    if task := known_task(dataset, image_size, **treatment):
        return task, []
    data = load(dataset, image_size, **treatment)
    return data.task, sample_notes(data)


def known_task(spec: str, image_size: int | None = None, **treatment: Any) -> AnyTask | None:
    """As `task_of`, but None where a dataset has to be read for it."""
    name, _ = split_name(spec)
    form = Treatment(image_size, **treatment)
    _check_numbers(form)
    known = DATASETS[name].task
    if known is None:
        return None
    check_form(form, spec, "images" if isinstance(known, Task) else "tokens")
    if not isinstance(known, Task):
        return known
    channels = CHANNELS[form.colour] if form.colour else known.channels
    return known._replace(image_size=image_size or known.image_size, channels=channels)


def label(
    spec: str,
    image_size: int | None = None,
    colour: Colour | None = None,
    vocabulary: int | None = None,
    length: int | None = None,
) -> str:
    """What tables call a dataset: its folder's or file's name, or its own where it has none.

    Example:
        >>> label("cifar10"), label("parquet:data/photos", image_size=16, colour="grey")
        ('cifar10', 'photos-16px-grey')
        >>> label("characters:poems.txt.gz", length=32)
        'poems-32tokens'
    """
    name, place = split_name(spec)
    if place:
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", ENDINGS.sub("", Path(place).resolve().name))
    said = [f"{image_size}px"] if image_size else []
    said += [colour] if colour else []
    said += [] if vocabulary is None else [f"{vocabulary}pieces"]
    return "-".join([name, *said, *([f"{length}tokens"] if length else [])])


def load(
    spec: str,
    image_size: int | None = None,
    *,
    colour: Colour | None = None,
    skip_corrupt: bool = False,
    vocabulary: int | None = None,
    length: int | None = None,
) -> Data:
    """Loads a dataset: decodes it the first time, then reads it from the cache.

    Args:
        spec: As in a study: `digits`, `folder:DIR`; a folder is relative to the current one.
        image_size: Pixels a side to which images are resized; None leaves them as they are.
        colour: Whether all images become "rgb" or "grey"; None leaves them as they are.
        skip_corrupt: Whether files that cannot be decoded are left out; `Data.notes` counts them.
        vocabulary: Size of the vocabulary; None takes 1,000.
        length: Tokens of a text, of a block, or of each sentence of a pair; None takes 32 or 64.

    Raises:
        DatasetError: Missing, empty or damaged files; fewer than two classes, or labels out of range;
            images that are not square, are smaller than 8 pixels, or differ in size or colour where
            neither is chosen; an image size, vocabulary or length out of range; a choice that belongs to
            another kind of data, such as an image size for texts.

    Example:
        >>> load("digits", 16, colour="rgb").arrays.train_inputs.shape
        (1000, 16, 16, 3)
    """
    name, place = split_name(spec)
    part, form = DATASETS[name], Treatment(image_size, colour, skip_corrupt, vocabulary, length)
    _check_numbers(form)
    with opened(spec):
        files = sorted(part.files(place)) if part.files else []
    asked = [part.asked(place)] if part.asked else []
    known = [DECODER, name, form, *asked, *_fingerprint(files)]
    source = hashlib.sha256(json.dumps(known).encode()).hexdigest()
    called = label(spec, image_size, colour, vocabulary, length)
    if files and (cached := read_source(source, called)):
        return cached
    with opened(spec):
        arrays, notes = made(part.decode(place), spec, form)
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
    return load(study.dataset, study.image_size, **_treatment(study))


def study_task(study: Study) -> AnyTask:
    """What a study's dataset asks of a network; raises as `load`."""
    return task_of(study.dataset, study.image_size, **_treatment(study))


def _treatment(study: Study) -> dict[str, Any]:
    return {name: getattr(study, name) for name in Treatment._fields[1:]}


@contextmanager
def opened(spec: str) -> Iterator[None]:
    """Turns errors of the disk while a dataset is read into messages that name the dataset."""
    try:
        yield
    except OSError as error:
        place = f" ({str(error.filename)!r})" if error.filename else ""
        raise DatasetError(f"dataset {spec!r} cannot be read: {reason(error)}{place}.") from None


def _check_numbers(form: Treatment) -> None:
    if form.image_size is not None and not SMALLEST_IMAGE <= form.image_size <= LARGEST:
        raise DatasetError(
            f"image_size {form.image_size:,} is not between {SMALLEST_IMAGE} and {LARGEST:,} pixels, the"
            " smallest and largest images that are trained on."
        )
    if form.length is not None and not SHORTEST <= form.length <= LONGEST:
        raise DatasetError(f"length {form.length:,} is not between {SHORTEST} and {LONGEST:,} tokens.")
    # The least is known only once the texts are read.
    if form.vocabulary is not None and form.vocabulary > LARGEST_VOCABULARY:
        raise DatasetError(
            f"vocabulary {form.vocabulary:,} is above {LARGEST_VOCABULARY:,} tokens, the most that there"
            " may be."
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
