"""1 byte a weight: each output channel by a scale of its own; all other numbers stay in float32.

Weights are the tensors with at least two dimensions. A channel's largest weight becomes 127 or -127, as in
torch's symmetric quantization per channel. Biases and batch norm are a few numbers a channel, and are what
a rounded network is most sensitive to (Jacob et al. 2018, arXiv:1712.05877, keep biases in 32 bits).
"""

import torch
from torch import Tensor

from ._base import Dtype, State

MOST = 127  # the range is symmetric: -128 is not used
SCALE = ".scale"  # follows a weight's name


def encode(state: State) -> dict[str, Tensor]:
    stored: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if not is_weight(tensor):
            stored[name] = tensor.float() if tensor.is_floating_point() else tensor
            continue
        scale = tensor.float().flatten(1).abs().amax(1) / MOST
        scale = torch.where(scale > 0, scale, 1.0)  # of a channel of zeros
        steps = (tensor.float() / _along(scale, tensor)).round()
        stored[name] = steps.clamp(-MOST, MOST).to(torch.int8)
        stored[name + SCALE] = scale
    return stored


def decode(state: State) -> dict[str, Tensor]:
    scales = {name for name, tensor in state.items() if tensor.dtype == torch.int8}
    return {
        name: tensor.float() * _along(state[name + SCALE], tensor) if name in scales else tensor
        for name, tensor in state.items()
        if name.removesuffix(SCALE) not in scales or name in scales
    }


def is_weight(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.ndim >= 2


def _along(scale: Tensor, weight: Tensor) -> Tensor:
    """One number an output channel, shaped to multiply the weight."""
    return scale.view(-1, *[1] * (weight.ndim - 1))


dtype = Dtype(encode, decode)
