"""Token tasks that take no time: sentences with gaps, a network that is checked by hand, a cell."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Generator, Tensor, nn

from ensembudget.datasets._base import Arrays
from ensembudget.families._build import materialise
from ensembudget.records import Cell, TokenTask
from ensembudget.tasks._base import IGNORED
from helpers import CELL

BLOCKS = TokenTask("language_model", classes=6, vocabulary=6, length=5)
PAIRS = TokenTask("translation", classes=6, vocabulary=6, length=7, source=3)
TEXTS = TokenTask("text_classification", classes=3, vocabulary=6, length=5)


def sentences(task: TokenTask, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random tokens, and a label at about two of three positions, none at the others."""
    rng = np.random.default_rng(seed)
    inputs = rng.integers(0, task.vocabulary, (count, task.length)).astype(np.int32)
    labels = rng.integers(0, task.classes, (count, task.length - task.source))
    return inputs, np.where(rng.random(labels.shape) < 2 / 3, labels, IGNORED)


def arrays_of(task: TokenTask, train: int = 12, test: int = 8) -> Arrays:
    return Arrays(*sentences(task, train), *sentences(task, test, seed=1), task.classes, task=task)


def cell_of(**changes) -> Cell:
    """A cell of a few sentences."""
    facts = {"train_size": 4, "validation_size": 3, "subset": 0, **changes}
    return Cell.model_validate({**CELL.model_dump(), **facts})


class RunningSums(nn.Module):
    """At every position the sum of a table's rows of the tokens so far: (member x token, class)."""

    def __init__(self, task: TokenTask, members: int) -> None:
        super().__init__()
        self.task, self.members = task, members
        self.table = nn.Parameter(torch.empty(members * task.vocabulary, task.classes))

    def initialise(self, generators: Sequence[Generator]) -> None:
        for one, generator in zip(self.table.chunk(self.members), generators, strict=True):
            one.copy_(torch.randn(one.shape, generator=generator))

    def forward(self, tokens: Tensor) -> Tensor:
        packed = tokens.unflatten(1, (self.members, -1))
        rows = packed + self.task.vocabulary * torch.arange(self.members, device=packed.device)[:, None]
        return self.table[rows].cumsum(2)[:, :, self.task.source :].flatten(1, 2)

    def alone(self, member: int, sentence: np.ndarray) -> np.ndarray:
        """(position, class) of one member on one sentence, by a loop."""
        table = self.table.detach().numpy()[member * self.task.vocabulary :]
        sums, found = np.zeros(self.task.classes), []
        for token in sentence:
            sums = sums + table[token]
            found.append(sums)
        return np.array(found[self.task.source :])


def initialised(network: RunningSums) -> RunningSums:
    """Each member by its own generator."""
    materialise(network, [Generator().manual_seed(seed) for seed in range(network.members)])
    return network
