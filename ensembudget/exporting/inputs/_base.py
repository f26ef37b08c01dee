"""The contract of inputs: what a card says of them, and how a user's samples become a batch."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt
from torch import Tensor

from ...datasets._data import Data
from ...errors import ArgumentError
from ...records import AnyTask, Recipe, Record
from ...tasks._base import Feed

LARGEST_FILE = 2**26  # bytes of a file that inputs need


class Batch(NamedTuple):
    """Samples as a dataset stores them, and which answers are wanted.

    Attributes:
        inputs: (sample, ...).
        places: The row of `inputs` and the position of each answer, (answer, 2), ascending by row; None where
            every sample has one answer.
    """

    inputs: Tensor
    places: Tensor | None = None


class Reader(ABC):
    """Makes batches of samples as users have them."""

    @abstractmethod
    def batch(self, samples: Any) -> Batch:
        """A batch of one or several samples.

        Raises:
            ArgumentError: Not such samples, or none; it says what is taken.
            DatasetError: A file cannot be read.
        """

    def translations(
        self, sentences: Any, answer: Callable[[Batch], NDArray[np.float32]], beam: int
    ) -> list[str]:
        """Translates sentences.

        Args:
            sentences: One or several.
            answer: The ensemble's probabilities, (answer, class).
            beam: Hypotheses kept for each sentence.

        Raises:
            ArgumentError: The ensemble does not translate.
        """
        raise ArgumentError("this ensemble does not translate. Call `predict`.")


class SideFile(Record):
    """A file beside the card that the inputs need."""

    file_bytes: PositiveInt = Field(le=LARGEST_FILE)
    sha256: str


class Page(NamedTuple):
    """What README.md of an exported folder says of the inputs, in Markdown.

    Attributes:
        call: Lines of Python that follow `ensemble = ensembudget.load("this folder")`.
        about: What a sample is, and what is done to it.
        graph: The input of the graphs: name, dtype, shape.
    """

    call: str
    about: str
    graph: str


class Shipment(NamedTuple):
    """What is shipped of a dataset.

    Attributes:
        inputs: For the card.
        class_names: What the probabilities are of, in their order.
        files: The content of each of the inputs' files, by name.
    """

    inputs: "Inputs"
    class_names: Sequence[str]
    files: Mapping[str, bytes] = {}


class Inputs(Record):
    """The inputs of one kind of task, as a card describes them.

    A subclass has a field for everything that it needs without the training data.

    Attributes:
        kind: The kind of task, which is the name of the part.
    """

    kind: str

    @classmethod
    @abstractmethod
    def shipment(cls, data: Data, recipe: Recipe, training: Tensor) -> Shipment:
        """What is shipped of a dataset.

        Args:
            data: The dataset.
            recipe: The members' recipe.
            training: Their training inputs, (sample, ...).

        Raises:
            ExportError: The dataset lacks what users' samples are read by.
        """

    @property
    @abstractmethod
    def name(self) -> str:
        """What a graph calls its input: `images`, `tokens`."""

    @property
    def shortest(self) -> int | None:
        """The fewest positions that a graph takes; None where a sample has a fixed shape."""
        return None

    @property
    def files(self) -> Mapping[str, SideFile]:
        """The files that lie beside the card, by name."""
        return {}

    @abstractmethod
    def task(self, classes: int) -> AnyTask:
        """The task, with so many classes."""

    @abstractmethod
    def feed(self, classes: int) -> Feed:
        """Turns stored samples into the networks' input."""

    @abstractmethod
    def reader(self, files: Mapping[str, bytes]) -> Reader:
        """What reads users' samples.

        Args:
            files: The contents of `self.files`.

        Raises:
            ValueError: The files are not what `shipment` makes; it says why.
        """

    @abstractmethod
    def page(self, class_names: Sequence[str]) -> Page:
        """What README.md says of the inputs."""
