"""What a dataset is, and how its images become uint8 arrays once and stay so, under a digest."""

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
