"""What a kind of budget is: a cost that is measured on a network, and its unit."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import nn

from ..records import AnyTask


@dataclass(frozen=True)
class Budget:
    """One kind of cost.

    Attributes:
        measure: `measure(network, task, dtype)` is the cost of one network on the meta device.
        unit: What it is counted in, as tables say it.
        suffixes: The units that may follow a number and its prefix (`40MB`); "" where none is needed.
        paid_by: What costs it in a unit of several networks: every network that is stored, or every predictor
            that is run.
    """

    measure: Callable[[nn.Module, AnyTask, str], int]
    unit: str
    suffixes: tuple[str, ...] = ("",)
    paid_by: Literal["networks", "predictors"] = "predictors"
