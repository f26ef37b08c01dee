"""What a mode is: the optimiser that its update step runs on."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn
from torch.optim import Optimizer

from ..records import Recipe


@dataclass(frozen=True)
class Mode:
    """One meaning of an update step.

    Attributes:
        optimizer: `optimizer(network, recipe)` steps every member of a packed network as it
            would step that member alone; the trainer sets `lr` on its groups every epoch.
    """

    optimizer: Callable[[nn.Module, Recipe], Optimizer]
