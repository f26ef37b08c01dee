"""What an ensemble of translating networks says is the next token."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..packing.batches import for_all, unpack_logits
from ..records import TokenTask
from ..tasks._base import Feed
from ..tasks._tokens import START

LOGITS_AT_ONCE = 2**25  # numbers, of all positions and members of one packed network


class Packed(NamedTuple):
    """A packed network, and how many members are in it."""

    network: nn.Module
    members: int


class NextToken:
    """The members' probabilities of the next token, averaged.

    Args:
        ensemble: All of its members, in evaluation mode.
        sources: Source sentences, (sentence, position), padded as the task says.
        task: A translation.
        feed: Makes tokens a network's input, on its device.
    """

    def __init__(self, ensemble: Sequence[Packed], sources: Tensor, task: TokenTask, feed: Feed) -> None:
        self._ensemble, self._sources, self._task, self._feed = ensemble, sources, task, feed

    @torch.no_grad()
    def __call__(self, sentences: Tensor, prefixes: Tensor) -> Tensor:
        """Log-probabilities, (hypothesis, token), float64, on the CPU.

        Args:
            sentences: The sentence that each hypothesis is of, (hypothesis,).
            prefixes: Its tokens after the start, (hypothesis, token).
        """
        starts = torch.full((len(sentences), 1), START, dtype=self._sources.dtype)
        inputs = torch.cat([self._sources[sentences], starts, prefixes.to(starts)], 1)
        most = max(packed.members for packed in self._ensemble)
        rows = max(1, LOGITS_AT_ONCE // (most * (1 + prefixes.shape[1]) * self._task.classes))
        return torch.cat([self._log_mean(some) for some in inputs.split(rows)])

    def _log_mean(self, inputs: Tensor) -> Tensor:
        """The logarithm of the mean probability at the last position, (hypothesis, token)."""
        logs = torch.cat(
            [
                unpack_logits(network(for_all(inputs, members, self._feed)), members)[:, :, -1]
                .double()
                .log_softmax(-1)
                .cpu()
                for network, members in self._ensemble
            ]
        )
        return logs.logsumexp(0) - math.log(len(logs))
