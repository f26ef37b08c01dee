"""What a dataset is: a source of labelled samples."""

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
        train_labels: (sample,), or of tasks that predict every position (sample, position), in [0, classes),
            int64; -100 where a position is not predicted.
        test_inputs: As the training inputs.
        test_labels: As the training labels.
        classes: How many.
        class_names: One for each class, or empty where the source gives none.
        task: What tokens ask of a network; None where the inputs are images.
        tokenizer: What makes text into tokens and back, as the tokenizers package writes it in JSON.
        outside_inputs: Test samples that belong to no class, as the test inputs; None where there are none.
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
    """Texts of a dataset with a class for each, made tokens later as a study asks.

    Attributes:
        train: Training texts.
        train_labels: Their classes, whole numbers from 0.
        test: Test texts.
        test_labels: As the training labels.
        class_names: One for each class.
        outside: Test texts that belong to no class.
        held: How many of the training texts, the last ones, their source holds out: no vocabulary is of them.
    """

    train: Sequence[str]
    train_labels: Sequence[int]
    test: Sequence[str]
    test_labels: Sequence[int]
    class_names: tuple[str, ...]
    outside: Sequence[str] = ()
    held: int = 0


class Pairs(NamedTuple):
    """Sentences and their translations, made tokens later as a study asks; `held` as in `Texts`.

    Attributes:
        train: Source and target of each training pair.
        test: Of each test pair.
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
    """What becomes of samples as they are decoded; the fields are those of a study.

    Attributes:
        image_size: Pixels a side; None leaves images as they are, and all must be of one size.
        colour: Whether all become RGB or grey; None leaves them as they are, and all must be alike.
        skip_corrupt: Whether files that cannot be decoded are left out, and counted.
        vocabulary: How many tokens texts are made of; None leaves it to the kind of task.
        length: Tokens of a text, of a block, or of each sentence of a pair; None as with the vocabulary.
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
        asked: `asked(place)` is what the place says beside where the files lie, such as which of them is
            translated: the same files give other samples where it differs. None where it says no more.
        example: What a message calls the place: "DIR".
    """

    decode: Callable[[str], Source]
    files: Callable[[str], Iterable[Path]] | None = None
    task: AnyTask | None = None
    needs_place: bool = False
    asked: Callable[[str], str] | None = None
    example: str = "DIR"
