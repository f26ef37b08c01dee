"""What a dataset is: a source of labelled images."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..records import Colour, Task

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


class Arrays(NamedTuple):
    """Decoded images (sample, row, column, channel) in uint8; labels (sample,) in [0, classes), int64.

    `class_names` has a name for each class, or is empty where the source gives none.
    """

    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels
    classes: int
    class_names: tuple[str, ...] = ()


class Picture(NamedTuple):
    """One encoded image: what messages call it, its class, and what reads its bytes."""

    name: str
    label: int
    read: Callable[[], bytes]


class Pictures(NamedTuple):
    """Encoded images of a dataset, decoded later as a study asks; `class_names` as in `Arrays`."""

    train: Sequence[Picture]
    test: Sequence[Picture]
    classes: int
    class_names: tuple[str, ...] = ()


class Treatment(NamedTuple):
    """What becomes of images as they are decoded; the fields are those of a study.

    Attributes:
        image_size: Pixels a side; None leaves images as they are, and all must be of one size.
        colour: Whether all become RGB or grey; None leaves them as they are, and all must be alike.
        skip_corrupt: Whether files that cannot be decoded are left out, and counted.
    """

    image_size: int | None = None
    colour: Colour | None = None
    skip_corrupt: bool = False


AS_THEY_ARE = Treatment()


@dataclass(frozen=True)
class Dataset:
    """One source of images.

    Attributes:
        decode: `decode(place)` gives all images, decoded or still encoded; the place is what follows the
            colon in `parquet:DIR`.
        files: `files(place)` lists the files that `decode` reads, so that a change in one is noticed;
            None where the arrays come with a library.
        task: Classes, channels and image size; None where they are known only after reading.
        needs_place: Whether a folder follows the name, as in `parquet:DIR`.
    """

    decode: Callable[[str], Arrays | Pictures]
    files: Callable[[str], Iterable[Path]] | None = None
    task: Task | None = None
    needs_place: bool = False
