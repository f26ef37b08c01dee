"""Conventional training: SGD with momentum, and weight decay on all parameters.

Every operation is elementwise, so each member of a packed network takes the step it would take alone.

Source: the recipe of Lobacheva et al. 2020, arXiv:2007.08483.
"""

from torch import nn
from torch.optim import SGD, Optimizer

from ..families._invariance import Invariant
from ..records import Recipe
from ._base import Mode, not_of_adam, not_of_spheres


def optimizer(network: nn.Module, recipe: Recipe, invariant: Invariant) -> Optimizer:
    return SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def faults(recipe: Recipe, invariant: Invariant) -> list[str]:
    return not_of_spheres(recipe, "bn_wd") + not_of_adam(recipe, "bn_wd")


mode = Mode(optimizer, effective=lambda rate, squared: rate / squared, faults=faults, norm="free")
