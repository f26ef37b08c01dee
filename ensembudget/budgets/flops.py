"""Floating-point operations of one sample's forward pass: matrix products and convolutions.

A multiplication and an addition are two operations. Torch's own counter counts them while the network runs.
"""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ..catalog import TASKS
from ..records import AnyTask
from ._base import Budget


def measure(network: nn.Module, task: AnyTask, dtype: str) -> int:
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(TASKS[task.kind].example(task))
    return int(counter.get_total_flops())


budget = Budget(measure, "FLOP", ("FLOP", "FLOPs"))
