"""Texts as tokens, one class for each; a tenth of the tokens is struck out at random in training.

Struck out tokens become padding, and the first of a text stays: word dropout as in Iyyer et al. 2015, "Deep
unordered composition rivals syntactic methods for text classification".
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ensembudget.records import Recipe, TokenTask
from ensembudget.tasks._base import Draws, Kind
from ensembudget.tasks._tokens import PADDING, Tokens, example, random_samples

SHARE = 0.1


@dataclass(frozen=True, kw_only=True)
class Struck(Tokens):
    """The feed of such texts.

    Attributes:
        length: Tokens of a text.
    """

    length: int

    def draw(self, count: int, generator: Generator) -> Draws:
        order = super().draw(count, generator).order
        struck = torch.rand(count, self.length, generator=generator) < SHARE
        struck[:, 0] = False
        return Draws(order, {"struck": struck})

    def augment(self, inputs: Tensor, changes: Mapping[str, Tensor]) -> Tensor:
        return inputs.masked_fill(changes["struck"], PADDING)


def feed(recipe: Recipe, task: TokenTask, inputs: Tensor) -> Struck:
    return Struck(16 * task.length, length=task.length)


task = Kind(
    "texts",
    feed,
    example,
    random_samples,
    smallest=TokenTask("word_dropout", classes=2, vocabulary=4, length=2),
)
