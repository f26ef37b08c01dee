"""What a kind of task is: how samples are drawn, augmented and made a network's input, and what they cost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, Self

import torch
from torch import Generator, Tensor

from ..records import AnyTask, Recipe

IGNORED = -100  # the label of a position that nothing predicts, as torch's cross-entropy has it


class Draws(NamedTuple):
    """One member's random choices for one epoch.

    Attributes:
        order: Of the samples, (sample,), int64.
        changes: What augmentation does to each, by names of the task's own: (sample, ...).
    """

    order: Tensor
    changes: Mapping[str, Tensor] = {}


class Feed(Protocol):
    """How the samples of one cell reach a packed network."""

    @property
    def device(self) -> torch.device:
        """Where inputs must lie, and where the network takes them."""

    @property
    def size(self) -> int:
        """About how many numbers of one layer a sample takes: evaluation takes so many samples at a time."""

    def to(self, device: torch.device, dtype: torch.dtype) -> Self:
        """The same, for a network on a device that computes in a dtype."""

    def draw(self, count: int, generator: Generator) -> Draws:
        """The order of one epoch's samples, and what augmentation does to them."""

    def augment(self, inputs: Tensor, changes: Mapping[str, Tensor]) -> Tensor:
        """Samples as they were drawn to be changed, (sample, ...); all are of one row of `changes` each."""

    def __call__(self, inputs: Tensor) -> Tensor:
        """Samples as they are stored, (member, sample, ...), to a packed network's input.

        Dimension 0 of the input is the sample, dimension 1 has the members side by side.
        """


@dataclass(frozen=True)
class Kind:
    """One kind of task.

    A network maps inputs (sample, members x ..., ...) to logits: (sample, members x class), or where every
    position of a sample is predicted (sample, members x position, class). The loss is cross-entropy, averaged
    over samples or over the positions that have a label.

    Attributes:
        samples: What one sample is called, in the plural: "images".
        feed: `feed(recipe, task, inputs)` gives the feed of a cell by its training inputs, (sample, ...), on
            the CPU.
        example: `example(task)` is an input of one sample and one member on the meta device: costs are of it.
        random: `random(task, count, generator)` gives inputs and labels of random samples, as a dataset
            has them: steps are timed on them.
        smallest: The smallest task of the kind: whether a family can be built is tried on it.
        augmented: Fields of a recipe that change its samples; no other task has them.
        positions: Whether every position of a sample is predicted, and not the sample as a whole.
    """

    samples: str
    feed: Callable[[Recipe, Any, Tensor], Feed]
    example: Callable[[Any], Tensor]
    random: Callable[[Any, int, Generator], tuple[Tensor, Tensor]]
    smallest: AnyTask
    augmented: frozenset[str] = field(default_factory=frozenset)
    positions: bool = False
