"""What a mode is: the optimiser that its update step runs on, and what it asks of a network."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.optim import Optimizer

from ..families._invariance import Invariant
from ..records import Recipe


@dataclass(frozen=True)
class Mode:
    """One meaning of an update step.

    Attributes:
        optimizer: `optimizer(network, recipe, invariant)` steps every member of a packed network as
            it would step that member alone. The trainer multiplies the `lr` of its groups by the
            schedule's factor; the first group's rate is that of the scale-invariant weights.
        effective: The effective learning rate of the invariant weights, from the first group's rate
            and their squared norm, (member,).
        faults: Why a network with these invariant weights cannot be trained so by this recipe, a
            sentence each; none where it can.
        norm: Of the invariant weights: "free" where gradients raise it and weight decay lowers it, as
            the law of periods assumes; "fixed" where every step restores it.
    """

    optimizer: Callable[[nn.Module, Recipe, Invariant], Optimizer]
    effective: Callable[[float, Tensor], Tensor]
    faults: Callable[[Recipe, Invariant], list[str]]
    norm: Literal["free", "fixed"]
