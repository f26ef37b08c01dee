"""What a deployed network occupies: parameters and batch-norm statistics at the given dtype."""

from torch import nn

from ..records import Task
from ._base import BYTES_PER_VALUE, Budget


def measure(network: nn.Module, task: Task, dtype: str) -> int:
    numbers = [*network.parameters(), *(b for b in network.buffers() if b.is_floating_point())]
    return BYTES_PER_VALUE[dtype] * sum(tensor.numel() for tensor in numbers)


budget = Budget(measure, "bytes", ("B", "bytes"))
