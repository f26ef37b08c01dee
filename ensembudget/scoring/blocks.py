"""Logits in small float64 blocks that stay in a core's cache; a pool is never copied whole."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ..arrays import Array

AT_ONCE = 2**15  # numbers in a block


def blocks(logits: Tensor) -> Iterator[tuple[tuple[slice, slice], Array]]:
    """All logits, minus each sample's largest, so that nothing overflows at any temperature.

    Args:
        logits: (member, sample, class), any float dtype.

    Yields:
        The members and samples, and their block, (member, class, sample). With samples last, sums over
        classes are several times faster than over a last dimension of ten. Blocks are NumPy arrays: its
        exponentials take half the time of torch's, and small steps a third.
    """
    members, samples, classes = logits.shape
    width = min(samples, max(1, AT_ONCE // classes))
    height = max(1, AT_ONCE // (classes * width))
    for top in range(0, members, height):
        for first in range(0, samples, width):
            where = slice(top, top + height), slice(first, first + width)
            yield where, centred(logits[where])


def centred(logits: Tensor) -> Array:
    """Logits minus each sample's largest, (member, sample, class) to (member, class, sample), float64."""
    # Copied to its order first, and in one step: the largest of a last dimension of ten is slow to find.
    every = logits.transpose(1, 2).to(torch.float64, memory_format=torch.contiguous_format).numpy()
    found: Array = every - every.max(1, keepdims=True)
    return found
