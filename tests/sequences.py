"""A small family and small data of a task that predicts every position, for tests of what is scored."""

import math

import numpy as np
import torch
from torch import Generator, Tensor, nn

from ensembudget.datasets._base import Arrays
from ensembudget.families._base import Family
from ensembudget.records import TokenTask

TASK = TokenTask("language_model", classes=12, vocabulary=12, length=6)


class Bigram(nn.Module):
    """Predicts each token from the one before alone: an embedding and a linear layer for each member."""

    def __init__(self, width: int, task: TokenTask, members: int) -> None:
        super().__init__()
        self.members, self.first = members, task.source
        self.embedding = nn.Parameter(torch.empty(members * task.vocabulary, width))
        self.head = nn.Parameter(torch.empty(members * task.classes, width))

    def initialise(self, generators: list[Generator]) -> None:
        for parameter in (self.embedding, self.head):
            for one, generator in zip(parameter.chunk(self.members), generators, strict=True):
                drawn = torch.empty(one.shape).normal_(0, 1 / math.sqrt(one.shape[1]), generator=generator)
                one.copy_(drawn)

    def forward(self, tokens: Tensor) -> Tensor:
        each = tokens.unflatten(1, (self.members, -1))[:, :, self.first :]
        embeddings = self.embedding.unflatten(0, (self.members, -1))
        heads = self.head.unflatten(0, (self.members, -1))
        member = torch.arange(self.members, device=tokens.device)[:, None]
        return torch.einsum("smpw,mcw->smpc", embeddings[member, each], heads).flatten(1, 2)


family = Family(Bigram, tasks=frozenset(("language_model", "translation")))


def arrays_of(train: int = 120, test: int = 60, seed: int = 0) -> Arrays:
    """Blocks in which every token is likely to be one more than the last, some of them short."""
    rng = np.random.default_rng(seed)
    parts = []
    for count in (train, test):
        steps = 1 + (rng.random((count, TASK.length + 1)) < 0.3) * rng.integers(
            1, 9, (count, TASK.length + 1)
        )
        tokens = 1 + (rng.integers(11, size=(count, 1)) + steps.cumsum(1)) % 11
        inputs, labels = tokens[:, :-1].astype(np.int32), tokens[:, 1:].astype(np.int64)
        short = rng.integers(2, TASK.length + 1, size=count)
        gone = np.arange(TASK.length) >= short[:, None]
        inputs[gone], labels[gone] = 0, -100
        parts += [inputs, labels]
    return Arrays(*parts, classes=TASK.classes, task=TASK)
