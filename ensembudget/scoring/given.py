"""Logits and labels as people hold them: tensors, NumPy arrays, lists."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..errors import ScoreError

Numbers = Tensor | ArrayLike | Sequence[Tensor]


def tensor_of(given: Numbers, name: str) -> Tensor:
    """The same numbers as a tensor on the CPU, without a gradient.

    Args:
        given: A tensor, an array, lists, or a list of tensors of one shape.
        name: What a message calls it.

    Raises:
        ScoreError: No numbers, or lists of unequal length.

    Example:
        >>> tensor_of([[0.5, 0.25]], "logits"), tensor_of(np.arange(2), "labels")
        (tensor([[0.5000, 0.2500]], dtype=torch.float64), tensor([0, 1]))
    """
    if isinstance(given, Tensor):
        return given.detach().cpu()
    try:
        if isinstance(given, Sequence) and given and all(isinstance(one, Tensor) for one in given):
            return torch.stack([tensor_of(one, name) for one in given])
        return torch.tensor(np.ascontiguousarray(given))  # torch takes no negative strides
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ScoreError(f"{name} are no array of numbers: {reason}.") from None
