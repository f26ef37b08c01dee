"""Training on the sphere: all scale-invariant weights kept jointly at their total norm.

A step of SGD at a fixed effective learning rate, then all invariant tensors are scaled by one factor
back to the norm they started from. Groups of tensors may drift; only the total is fixed.

Source: Kodryan et al. 2022, arXiv:2209.03695, and its code.
"""

from torch import nn
from torch.optim import Optimizer

from ..families._invariance import Invariant
from ..records import Recipe
from ._base import Mode
from ._sphere import Sphere, effective, faults, squares_in_all


def optimizer(network: nn.Module, recipe: Recipe, invariant: Invariant) -> Optimizer:
    return Sphere(network, recipe, invariant, squares_in_all)


mode = Mode(optimizer, effective, faults, norm="fixed")
