"""Training on the sphere: the total norm of all scale-invariant weights is fixed.

After each step of SGD at a fixed effective learning rate, one factor scales all invariant tensors back to
their initial total norm. The norms of single tensors may drift.

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
