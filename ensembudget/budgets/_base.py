"""What a budget kind is: a cost measured on the built network, and how people write it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..records import Task

BYTES_PER_VALUE = {"float32": 4, "float16": 2, "bfloat16": 2, "int8": 1}


@dataclass(frozen=True)
class Budget:
    """One kind of cost.

    Attributes:
        measure: `measure(network, task, dtype)` is the cost of one network on the meta device.
        unit: What it is counted in, as a table says it.
        suffixes: What may follow the number and its prefix; "" where nothing need.
    """

    measure: Callable[[nn.Module, Task, str], int]
    unit: str
    suffixes: tuple[str, ...] = ("",)


def one_sample(task: Task) -> Tensor:
    """An image on the meta device: (1, channel, row, column), float32."""
    return torch.empty(1, task.channels, task.image_size, task.image_size, device="meta")
