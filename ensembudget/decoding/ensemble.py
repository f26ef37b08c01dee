"""The next token of a translation, as an ensemble predicts it."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ..packing.batches import for_all, unpack_logits
from ..records import TokenTask
from ..tasks._base import Feed
from ..tasks._tokens import START

LOGITS_AT_ONCE = 2**25  # of all positions and members of one packed network

# `logits(sentences, targets)` gives a packed network's logits, (hypothesis, members x position, token), at
# all positions of the targets or at their last alone.
Logits = Callable[[Tensor, Tensor], Tensor]


class Packed(NamedTuple):
    """A packed network, and how many members it holds."""

    network: nn.Module
    members: int


@runtime_checkable
class Encoding(Protocol):
    """A network whose sources can be encoded once, for all targets."""

    def encode(self, source: Tensor) -> tuple[Tensor, ...]:
        """Encodes sources, (member, sample, position), to tensors (member, sample, ...)."""

    def decode(self, target: Tensor, *encoded: Tensor) -> Tensor:
        """Features of targets, (member, sample, position), as (member, sample, position, channel)."""

    def forward_head(self, x: Tensor) -> Tensor:
        """Logits of features, (sample, members x position, token)."""


class NextToken:
    """Averages the members' probabilities of the next token; a `Step` of beam search.

    Networks that can do so encode the source sentences once, here.

    Args:
        ensemble: The packed networks of all members, in evaluation mode.
        sources: Source sentences, (sentence, position), padded to `task.source`.
        task: The translation task.
        feed: Turns tokens into a network's input, on its device.
    """

    def __init__(self, ensemble: Sequence[Packed], sources: Tensor, task: TokenTask, feed: Feed) -> None:
        self._sources, self._task = sources, task
        self._most = max(packed.members for packed in ensemble)
        self._networks = [(_logits_of(packed, sources, feed), packed.members) for packed in ensemble]

    @torch.no_grad()
    def __call__(self, sentences: Tensor, prefixes: Tensor) -> Tensor:
        """Log-probabilities of the next token, (hypothesis, token), float64, on the CPU.

        Args:
            sentences: The index of each hypothesis's source sentence, (hypothesis,).
            prefixes: The tokens of each hypothesis after the start token, (hypothesis, position).
        """
        starts = torch.full((len(sentences), 1), START, dtype=self._sources.dtype)
        targets = torch.cat([starts, prefixes.to(starts)], 1)
        rows = max(1, LOGITS_AT_ONCE // (self._most * targets.shape[1] * self._task.classes))
        parts = zip(sentences.split(rows), targets.split(rows), strict=True)
        return torch.cat([self._log_mean(*part) for part in parts])

    def _log_mean(self, sentences: Tensor, targets: Tensor) -> Tensor:
        """Log of the members' mean probability at the last position, (hypothesis, token)."""
        each = [
            unpack_logits(logits(sentences, targets), members)[:, :, -1].double().log_softmax(-1).cpu()
            for logits, members in self._networks
        ]
        logs = torch.cat(each)
        return logs.logsumexp(0) - math.log(len(logs))


def _logits_of(packed: Packed, sources: Tensor, feed: Feed) -> Logits:
    """The logits of one packed network, from encoded sources where it can encode them."""
    network, members = packed

    def from_sources(sentences: Tensor, targets: Tensor) -> Tensor:
        found: Tensor = network(for_all(torch.cat([sources[sentences], targets], 1), members, feed))
        return found

    if not isinstance(network, Encoding):
        return from_sources

    def by_member(tokens: Tensor) -> Tensor:
        apart: Tensor = for_all(tokens, members, feed).unflatten(1, (members, -1)).transpose(0, 1)
        return apart

    with torch.no_grad():
        encoded = network.encode(by_member(sources))

    def from_encoded(sentences: Tensor, targets: Tensor) -> Tensor:
        chosen = sentences.to(feed.device)
        features = network.decode(by_member(targets), *(one[:, chosen] for one in encoded))
        last: Tensor = network.forward_head(features[:, :, -1:])
        return last

    return from_encoded
