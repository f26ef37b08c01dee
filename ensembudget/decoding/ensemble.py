"""The next token of a translation, as an ensemble predicts it."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..packing.batches import for_all, unpack_logits
from ..records import TokenTask
from ..tasks._base import Feed
from ..tasks._tokens import START

LOGITS_AT_ONCE = 2**25  # of all positions and members of one packed network


class Packed(NamedTuple):
    """A packed network, and how many members it holds."""

    network: nn.Module
    members: int


class NextToken:
    """Averages the members' probabilities of the next token; a `Step` of beam search.

    Args:
        ensemble: The packed networks of all members, in evaluation mode.
        sources: Source sentences, (sentence, position), padded to `task.source`.
        task: The translation task.
        feed: Turns tokens into a network's input, on its device.
    """

    def __init__(self, ensemble: Sequence[Packed], sources: Tensor, task: TokenTask, feed: Feed) -> None:
        self._ensemble, self._sources, self._task, self._feed = ensemble, sources, task, feed

    @torch.no_grad()
    def __call__(self, sentences: Tensor, prefixes: Tensor) -> Tensor:
        """Log-probabilities of the next token, (hypothesis, token), float64, on the CPU.

        Args:
            sentences: The index of each hypothesis's source sentence, (hypothesis,).
            prefixes: The tokens of each hypothesis after the start token, (hypothesis, position).
        """
        starts = torch.full((len(sentences), 1), START, dtype=self._sources.dtype)
        inputs = torch.cat([self._sources[sentences], starts, prefixes.to(starts)], 1)
        most = max(packed.members for packed in self._ensemble)
        rows = max(1, LOGITS_AT_ONCE // (most * (1 + prefixes.shape[1]) * self._task.classes))
        return torch.cat([self._log_mean(some) for some in inputs.split(rows)])

    def _log_mean(self, inputs: Tensor) -> Tensor:
        """Log of the members' mean probability at the last position, (hypothesis, token)."""
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
