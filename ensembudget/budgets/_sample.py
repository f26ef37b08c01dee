"""The input on which costs are measured."""

import torch
from torch import Tensor

from ..records import Task


def one_sample(task: Task) -> Tensor:
    """An image on the meta device: (1, channel, row, column), float32."""
    return torch.empty(1, task.channels, task.image_size, task.image_size, device="meta")
