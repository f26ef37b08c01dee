"""The memory of a deployed network: its parameters and batch norm's statistics, stored at a given dtype."""

import torch
from torch import nn

from ..catalog import DTYPES
from ..families._attention import Embedding, TiedOutput
from ..records import AnyTask
from ._base import Budget

RANGE_BYTES = 5  # of a layer's rounded inputs: their scale in float32 and their zero in 8 bits


def measure(network: nn.Module, task: AnyTask, dtype: str) -> int:
    part, numbers = DTYPES[dtype], _numbers(network)
    ranges = _ranges(network, numbers) if part.rounds_inputs else 0
    with torch.no_grad():
        stored = part.encode(numbers)
    return sum(tensor.nbytes for tensor in stored.values()) + RANGE_BYTES * ranges


def _ranges(network: nn.Module, numbers: dict[str, torch.Tensor]) -> int:
    """How many layers have inputs that are rounded: one a matrix, but none for a table that only looks up
    tokens, which are whole numbers. One that is the output layer too has a range as such.
    """
    tied = any(isinstance(module, TiedOutput) for module in network.modules())
    lookups = 0 if tied else sum(isinstance(one, nn.Embedding | Embedding) for one in network.modules())
    return sum(tensor.ndim >= 2 for tensor in numbers.values()) - lookups


def _numbers(network: nn.Module) -> dict[str, torch.Tensor]:
    """All that is stored: shared tensors once, and no counts of batches, which prediction does not need."""
    named = [*network.named_parameters(), *network.named_buffers()]
    return {name: tensor.detach() for name, tensor in named if tensor.is_floating_point()}


budget = Budget(measure, "bytes", ("B", "bytes"), paid_by="networks")
