"""Conventional training: stochastic gradient descent, momentum, weight decay on all parameters.

Source: the papers' recipe, Lobacheva et al. 2020, arXiv:2007.08483. Every operation is elementwise,
so a packed network's members are stepped as if alone.
"""

from torch import nn
from torch.optim import SGD, Optimizer

from ..families._invariance import Invariant
from ..records import Recipe
from ._base import Mode


def optimizer(network: nn.Module, recipe: Recipe, invariant: Invariant) -> Optimizer:
    return SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def faults(recipe: Recipe, invariant: Invariant) -> list[str]:
    if recipe.effective_learning_rate is None:
        return []
    return [
        f"effective_learning_rate {recipe.effective_learning_rate:g} is of mode 'sphere'; 'bn_wd' has a"
        " learning_rate, and the weights' norm decides the effective one. Leave it out, or change the mode."
    ]


mode = Mode(optimizer, effective=lambda rate, squared: rate / squared, faults=faults, norm="free")
