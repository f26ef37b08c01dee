"""What a dataset is: a source of labelled images."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..records import Task

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


class Arrays(NamedTuple):
    """Decoded images (sample, row, column, channel) in uint8; labels (sample,) in [0, classes), int64."""

    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels
    classes: int


@dataclass(frozen=True)
class Dataset:
    """One source of images.

    Attributes:
        decode: `decode(place)` reads all images; the place is what follows the colon in `parquet:DIR`.
        files: `files(place)` lists the files that `decode` reads, so that a change in one is noticed;
            None where the arrays come with a library.
        task: Classes, channels and image size; None where they are known only after reading.
        needs_place: Whether a folder follows the name, as in `parquet:DIR`.
    """

    decode: Callable[[str], Arrays]
    files: Callable[[str], Iterable[Path]] | None = None
    task: Task | None = None
    needs_place: bool = False
