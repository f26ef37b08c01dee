"""What token tasks share: reserved tokens, and a feed that passes tokens on without augmentation."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Generator, Tensor

from ..records import Recipe, TokenTask
from ._base import Draws

CPU = torch.device("cpu")
PADDING = 0  # fills a sample up to its length
UNKNOWN = 1  # stands for a character that is not in the vocabulary
START, END = 2, 3  # the first and the last token of a translation's target
FEWEST = END + 1  # the smallest vocabulary: the reserved tokens


@dataclass(frozen=True)
class Tokens:
    """The feed of tokens: members side by side, nothing augmented.

    Attributes:
        size: Activations of one sample in a layer, or its logits where those are more.
        device: The device of the network.
    """

    size: int
    device: torch.device = CPU

    def to(self, device: torch.device, dtype: torch.dtype) -> Self:
        return replace(self, device=device)

    def draw(self, count: int, generator: Generator) -> Draws:
        return Draws(torch.randperm(count, generator=generator))

    def augment(self, inputs: Tensor, changes: Mapping[str, Tensor]) -> Tensor:
        return inputs

    def __call__(self, inputs: Tensor) -> Tensor:
        """(member, sample, position) to (sample, members x position), int64."""
        packed: Tensor = inputs.long().transpose(0, 1).flatten(1)
        return packed


def size_of_samples(task: TokenTask) -> int:
    """The size of a feed with one prediction a sample: activations of a sample in a layer."""
    return 16 * task.length


def size_of_positions(task: TokenTask) -> int:
    """The size of a feed that predicts every position: most of it is logits."""
    return task.classes * task.predicted // 4


def feed_of_samples(recipe: Recipe, task: TokenTask, inputs: Tensor) -> Tokens:
    """The feed of tasks with one prediction a sample."""
    return Tokens(size_of_samples(task))


def feed_of_positions(recipe: Recipe, task: TokenTask, inputs: Tensor) -> Tokens:
    """The feed of tasks that predict every position."""
    return Tokens(size_of_positions(task))


def example(task: TokenTask) -> Tensor:
    """One sample of one member, (1, position), int64, on the meta device."""
    return torch.ones(1, task.length, dtype=torch.int64, device="meta")


def random_tokens(task: TokenTask, count: int, generator: Generator) -> Tensor:
    """Random samples without padding, (sample, position), int32."""
    shape = (count, task.length)
    return torch.randint(PADDING + 1, task.vocabulary, shape, generator=generator, dtype=torch.int32)


def random_samples(task: TokenTask, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Random tokens, and a class for each sample, (sample,), int64."""
    inputs = random_tokens(task, count, generator)
    return inputs, torch.randint(task.classes, (count,), generator=generator)


def random_positions(task: TokenTask, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Random tokens, and a label for every predicted position, (sample, position), int64."""
    inputs = random_tokens(task, count, generator)
    shape = (count, task.predicted)
    return inputs, torch.randint(PADDING + 1, task.classes, shape, generator=generator)
