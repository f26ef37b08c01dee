"""Weights and biases, trained or frozen: what the papers hold fixed.

A frozen layer counts, for it is stored like any other. The closed forms that families state for all
parameters include it; those for scale-invariant parameters do not. Batch norm's running statistics are no
parameters; `bytes` counts them.
"""

from torch import nn

from ..records import AnyTask
from ._base import Budget


def measure(network: nn.Module, task: AnyTask, dtype: str) -> int:
    return sum(p.numel() for p in network.parameters())


budget = Budget(measure, "parameters", paid_by="networks")
