"""Members that are copies of each other, or nearly: an ensemble must not count one network twice."""

from typing import NamedTuple

import numpy as np
from torch import Tensor

from ..arrays import Array

# Of the size of a member's logits. Copies that were rounded to 16 bits lie below it; no two members of 235
# pools that were trained for this project's tables are nearer than 0.19.
ALIKE = 1e-3
LOOKED_AT = 512  # samples that are looked at first: copies are alike everywhere


class Copies(NamedTuple):
    """Two members that are one.

    Attributes:
        first: Counted from 0.
        second: Likewise.
        apart: Distance of their logits over the larger of their sizes; 0 where they are equal.
    """

    first: int
    second: int
    apart: float


def copies(logits: Tensor) -> Copies | None:
    """The first two members whose logits are equal, or nearly so, whatever is added to all of a sample's.

    Args:
        logits: Finite, (member, sample, class), any float dtype.

    Example:
        >>> import torch
        >>> draws = torch.randn(3, 50, 4, generator=torch.Generator().manual_seed(0))
        >>> copies(draws) is None
        True
        >>> draws[2] = draws[0] * (1 + 1e-5)
        >>> copies(draws)[:2]
        (0, 2)
    """
    step = -(-logits.shape[1] // LOOKED_AT)
    flat = _flat(logits[:, ::step])
    products = flat @ flat.T
    squares = products.diagonal()
    gaps, sizes = squares + squares[:, None] - 2 * products, np.maximum(squares, squares[:, None])
    for first, second in np.argwhere(np.triu(gaps <= 2 * ALIKE**2 * sizes, 1)).tolist():
        one, other = _flat(logits[[first, second]])
        size = max(float(np.linalg.norm(one)), float(np.linalg.norm(other)))
        apart = float(np.linalg.norm(one - other)) / size if size else 0.0
        if apart <= ALIKE:
            return Copies(first, second, apart)
    return None


def _flat(logits: Tensor) -> Array:
    """A row a member, without what is added to all classes of a sample; sizes near 1."""
    centred = logits.double().numpy().copy()
    centred -= centred.mean(-1, keepdims=True)
    flat: Array = centred.reshape(len(centred), -1)
    return flat / max(float(np.abs(flat).max(initial=0.0)), 1e-300)
