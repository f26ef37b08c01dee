"""The memory of a deployed network: its parameters and batch norm's statistics, stored at a given dtype."""

from torch import nn

from ..records import Task
from ._base import Budget

BYTES_PER_VALUE = {"float32": 4, "float16": 2, "bfloat16": 2, "int8": 1}


def measure(network: nn.Module, task: Task, dtype: str) -> int:
    numbers = [*network.parameters(), *(b for b in network.buffers() if b.is_floating_point())]
    return BYTES_PER_VALUE[dtype] * sum(tensor.numel() for tensor in numbers)


budget = Budget(measure, "bytes", ("B", "bytes"))
