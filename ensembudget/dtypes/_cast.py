"""Dtypes that torch converts to by itself."""

import torch
from torch import Tensor

from ._base import Dtype, State


def cast(stored: torch.dtype) -> Dtype:
    """All floating-point tensors in one torch dtype, each number rounded to the nearest."""

    def encode(state: State) -> dict[str, Tensor]:
        return {name: t.to(stored) if t.is_floating_point() else t for name, t in state.items()}

    def decode(state: State) -> dict[str, Tensor]:
        return {name: t.float() if t.is_floating_point() else t for name, t in state.items()}

    return Dtype(encode, decode)
