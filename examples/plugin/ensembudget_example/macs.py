"""Multiply-accumulate operations of one sample's forward pass: half its FLOPs."""

from torch import nn

from ensembudget.budgets import flops
from ensembudget.budgets._base import Budget
from ensembudget.records import AnyTask


def measure(network: nn.Module, task: AnyTask, dtype: str) -> int:
    return flops.measure(network, task, dtype) // 2


budget = Budget(measure, "MAC", ("MAC", "MACs"))
