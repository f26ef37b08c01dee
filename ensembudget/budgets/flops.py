"""Floating-point operations of one sample's forward pass: matrix products and convolutions.

A multiplication and an addition are two operations. Torch's own counter counts them while the network runs.
"""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ..records import Task
from ._base import Budget
from ._sample import one_sample


def measure(network: nn.Module, task: Task, dtype: str) -> int:
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(one_sample(task))
    return int(counter.get_total_flops())


budget = Budget(measure, "FLOP", ("FLOP", "FLOPs"))
