"""1 byte a weight: 4 significant bits, up to 448; all other numbers stay in float32."""

import torch
from torch import Tensor

from ensembudget.dtypes._base import Dtype, State


def encode(state: State) -> dict[str, Tensor]:
    return {
        name: tensor.to(torch.float8_e4m3fn) if tensor.is_floating_point() and tensor.ndim > 1 else tensor
        for name, tensor in state.items()
    }


def decode(state: State) -> dict[str, Tensor]:
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}


dtype = Dtype(encode, decode)
