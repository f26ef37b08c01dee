"""The contract of a dataset: a source of labelled samples."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..records import AnyTask, Colour, TokenTask

Images = NDArray[np.uint8]
Inputs = NDArray[Any]  # images in uint8, or tokens in int32
Labels = NDArray[np.int64]


class Arrays(NamedTuple):
    """Decoded samples and their labels.

    Attributes:
        train_inputs: Images (sample, row, column, channel) in uint8, or tokens (sample, position) in int32.
        train_labels: int64 in [0, classes), (sample,); or, where every position is predicted,
            (sample, position), with -100 at positions without a label.
        test_inputs: As the training inputs.
        test_labels: As the training labels.
        classes: The number of classes.
        class_names: One for each class, or empty where the source gives none.
        task: The task of token inputs; None for images.
        tokenizer: The tokenizer as JSON, in the format of the tokenizers package; "" where there is none.
        outside_inputs: Out-of-scope test samples, which belong to no class, in the form of the test inputs;
            None where there are none.
    """

    train_inputs: Inputs
    train_labels: Labels
    test_inputs: Inputs
    test_labels: Labels
    classes: int
    class_names: tuple[str, ...] = ()
    task: TokenTask | None = None
    tokenizer: str = ""
    outside_inputs: Inputs | None = None


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


class Texts(NamedTuple):
    """Texts of a dataset with a class for each, tokenized later as a study asks.

    Attributes:
        train: Training texts.
        train_labels: Their classes, whole numbers from 0.
        test: Test texts.
        test_labels: As the training labels.
        class_names: One for each class.
        outside: Out-of-scope test texts, which belong to no class.
        held: How many training texts, the last ones, the source gives for validation; the vocabulary is not
            trained on them.
    """

    train: Sequence[str]
    train_labels: Sequence[int]
    test: Sequence[str]
    test_labels: Sequence[int]
    class_names: tuple[str, ...]
    outside: Sequence[str] = ()
    held: int = 0


class Pairs(NamedTuple):
    """Sentences and their translations, tokenized later as a study asks; `held` as in `Texts`.

    Attributes:
        train: Source and target of each training pair.
        test: Source and target of each test pair.
    """

    train: Sequence[tuple[str, str]]
    test: Sequence[tuple[str, str]]
    held: int = 0


class Running(NamedTuple):
    """Running text whose next character is predicted, cut into blocks later as a study asks."""

    train: str
    test: str


Source = Arrays | Pictures | Texts | Pairs | Running


class Treatment(NamedTuple):
    """How samples are decoded; the fields are those of a study.

    Attributes:
        image_size: Pixels a side; None leaves images as they are, and all must be of one size.
        colour: Whether all become RGB or grey; None leaves them as they are, and all must be alike.
        skip_corrupt: Whether files that cannot be decoded are left out, and counted.
        vocabulary: The size of the vocabulary of texts; None takes the default.
        length: Tokens of a text, of a block, or of each sentence of a pair; None takes the default.
    """

    image_size: int | None = None
    colour: Colour | None = None
    skip_corrupt: bool = False
    vocabulary: int | None = None
    length: int | None = None


AS_THEY_ARE = Treatment()


@dataclass(frozen=True)
class Dataset:
    """One source of samples.

    Attributes:
        decode: `decode(place)` gives all samples, or images that are still encoded, or texts; the place is
            what follows the colon in `parquet:DIR`.
        files: `files(place)` lists the files that `decode` reads, so that a change in one is noticed;
            None where the arrays come with a library.
        task: Classes, channels and image size; None where they are known only after reading.
        needs_place: Whether a folder follows the name, as in `parquet:DIR`.
        asked: `asked(place)` is what the place says besides where the files are, such as the direction of
            translation. The same files give other samples where it differs. None if it says nothing else.
        example: What a message calls the place: "DIR".
    """

    decode: Callable[[str], Source]
    files: Callable[[str], Iterable[Path]] | None = None
    task: AnyTask | None = None
    needs_place: bool = False
    asked: Callable[[str], str] | None = None
    example: str = "DIR"
