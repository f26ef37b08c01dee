"""The contract of a kind of task: how its samples are drawn, augmented, and fed to a network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, Self

import torch
from torch import Generator, Tensor

from ..records import AnyTask, Recipe

IGNORED = -100  # the label of a position without a prediction: the `ignore_index` of torch's cross-entropy


class Draws(NamedTuple):
    """One member's random choices for one epoch.

    Attributes:
        order: The order of the samples, (sample,), int64.
        changes: What augmentation does to each sample, (sample, ...), under names that the task chooses.
    """

    order: Tensor
    changes: Mapping[str, Tensor] = {}


class Feed(Protocol):
    """Turns the samples of one cell into inputs of a packed network."""

    @property
    def device(self) -> torch.device:
        """The device of the network, on which inputs must lie."""

    @property
    def size(self) -> int:
        """About how many activations one layer has for one sample: it sets the batch size of evaluation."""

    def to(self, device: torch.device, dtype: torch.dtype) -> Self:
        """This feed for a network on `device` that computes in `dtype`."""

    def draw(self, count: int, generator: Generator) -> Draws:
        """Draws the order of `count` samples for one epoch, and how each is augmented."""

    def augment(self, inputs: Tensor, changes: Mapping[str, Tensor]) -> Tensor:
        """Augments samples, (sample, ...): row i of every tensor in `changes` belongs to sample i."""

    def __call__(self, inputs: Tensor) -> Tensor:
        """Turns stored samples, (member, sample, ...), into the input of a packed network.

        The input is (sample, members x ..., ...): dimension 1 holds the members side by side.
        """


@dataclass(frozen=True)
class Kind:
    """One kind of task.

    A network maps inputs, (sample, members x ..., ...), to logits: (sample, members x class), or, where
    every position of a sample is predicted, (sample, members x position, class). The loss is cross-entropy,
    averaged over samples or over the positions that have a label.

    Attributes:
        samples: The word for samples, in the plural: "images".
        feed: `feed(recipe, task, inputs)` makes the feed of a cell from its training inputs, (sample, ...),
            on the CPU.
        example: `example(task)` is the input of one sample and one member, on the meta device; costs are
            measured on it.
        random: `random(task, count, generator)` makes random inputs and labels in a dataset's shapes and
            dtypes; steps are timed on them.
        smallest: The smallest task of the kind, on which a test build of a family is made.
        augmented: Fields of a recipe that augment these samples; tasks of other kinds refuse them.
        positions: Whether every position of a sample is predicted, rather than the sample as a whole.
        layouts: Whether samples can lie in memory in several ways, as images can: channels last or first.
    """

    samples: str
    feed: Callable[[Recipe, Any, Tensor], Feed]
    example: Callable[[Any], Tensor]
    random: Callable[[Any, int, Generator], tuple[Tensor, Tensor]]
    smallest: AnyTask
    augmented: frozenset[str] = field(default_factory=frozenset)
    positions: bool = False
    layouts: bool = False

    def least(self, task: AnyTask) -> int:
        """The fewest training samples: one a class, or a batch of 2 where every position is predicted."""
        return 2 if self.positions else task.classes
