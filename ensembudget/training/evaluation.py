"""What a packed network says of samples."""

import torch
from torch import Tensor, nn

from ..packing.batches import for_all, unpack_logits
from ..packing.parts import Asked
from ..tasks._base import Feed

EVALUATED_AT_ONCE = 2**16  # pixels or the like, of all members: more takes longer a sample on a CPU


@torch.no_grad()
def evaluate_logits(
    network: nn.Module, asked: Asked, feed: Feed, members: int, *, at_once: int = EVALUATED_AT_ONCE
) -> Tensor:
    """Logits of every member on the same samples, in evaluation mode.

    Args:
        network: A packed network of `members`.
        asked: Samples, anywhere, and which of their positions are wanted.
        feed: Makes samples the network's input, on the device of the network.
        members: How many are packed.
        at_once: Evaluated at one time, of all members together, by the feed's size of a sample.

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
