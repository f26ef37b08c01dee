"""Trainable numbers: what the papers hold fixed."""

from torch import nn

from ..records import Task
from ._base import Budget


def measure(network: nn.Module, task: Task, dtype: str) -> int:
    return sum(p.numel() for p in network.parameters())


budget = Budget(measure, "parameters")
