"""What tasks on tokens share: inputs stay as they are, and nothing is augmented."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Generator, Tensor

from ..records import Recipe, TokenTask
from ._base import Draws

CPU = torch.device("cpu")
PADDING = 0  # the token that fills up a sample
UNKNOWN = 1  # for text that the vocabulary does not have
START, END = 2, 3  # around each target of a translation


@dataclass(frozen=True)
class Tokens:
    """The feed of tokens.

    Attributes:
        size: Numbers of one layer, or of the logits where they are more.
        device: Where the network is.
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


def feed_of_samples(recipe: Recipe, task: TokenTask, inputs: Tensor) -> Tokens:
    """Of tasks with one prediction a sample."""
    return Tokens(16 * task.length)


def feed_of_positions(recipe: Recipe, task: TokenTask, inputs: Tensor) -> Tokens:
    """Of tasks that predict every position."""
    return Tokens(task.classes * (task.length - task.source) // 4)


def example(task: TokenTask) -> Tensor:
    """(1, position), int64."""
    return torch.ones(1, task.length, dtype=torch.int64, device="meta")


def random_tokens(task: TokenTask, count: int, generator: Generator) -> Tensor:
    """Samples without padding, (sample, position), int32."""
    shape = (count, task.length)
    return torch.randint(1, task.vocabulary, shape, generator=generator, dtype=torch.int32)


def random_samples(task: TokenTask, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """With one class each."""
    inputs = random_tokens(task, count, generator)
    return inputs, torch.randint(task.classes, (count,), generator=generator)


def random_positions(task: TokenTask, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """With a token for every position that is predicted."""
    inputs = random_tokens(task, count, generator)
    shape = (count, task.length - task.source)
    return inputs, torch.randint(1, task.classes, shape, generator=generator)
