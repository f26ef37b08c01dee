"""Conventional training: stochastic gradient descent, momentum, weight decay on all parameters.

Source: the papers' recipe, Lobacheva et al. 2020, arXiv:2007.08483. Every operation is elementwise,
so a packed network's members are stepped as if alone.
"""

from torch import nn
from torch.optim import SGD, Optimizer

from ..records import Recipe
from ._base import Mode


def optimizer(network: nn.Module, recipe: Recipe) -> Optimizer:
    return SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


mode = Mode(optimizer)
