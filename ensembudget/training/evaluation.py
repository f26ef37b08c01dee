"""Logits of a packed network."""

import torch
from torch import Tensor, nn

from ..packing.batches import for_all, unpack_logits
from ..packing.parts import Asked
from ..tasks._base import Feed

EVALUATED_AT_ONCE = 2**16  # feed sizes of all members and samples; larger batches are slower on a CPU


@torch.no_grad()
def evaluate_logits(
    network: nn.Module, asked: Asked, feed: Feed, members: int, *, at_once: int = EVALUATED_AT_ONCE
) -> Tensor:
    """Logits of every member on the same samples, in evaluation mode.

    Args:
        network: A packed network of `members`.
        asked: Samples, on any device, and which of their positions are wanted.
        feed: Turns samples into the network's input, on its device.
        members: How many members are packed.
        at_once: Batch size: at most so much of `feed.size`, summed over samples and members.

    Returns:
        float32 on the CPU, (member, answer, class).
    """
    network.eval()
    batch, logits = max(1, at_once // (members * max(1, feed.size))), []
    for first in range(0, len(asked.inputs), batch):
        some = asked.inputs[first : first + batch]
        found = unpack_logits(network(for_all(some, members, feed)), members).float()
        if asked.places is not None:
            rows, positions = asked.places.T
            here = (first <= rows) & (rows < first + batch)
            found = found[:, rows[here] - first, positions[here]]
        logits.append(found.cpu())
    return torch.cat(logits, 1) if logits else torch.empty(members, 0, 1)
