"""Conventional training: SGD with momentum, and weight decay on all parameters.

Every operation is elementwise, so each member of a packed network takes the step it would take alone.

Source: the recipe of Lobacheva et al. 2020, arXiv:2007.08483.
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
        f"effective_learning_rate {recipe.effective_learning_rate:g} belongs to mode 'sphere'. Mode 'bn_wd'"
        " takes a learning_rate, and the weights' norm decides the effective one. Leave it out, or change"
        " the mode."
    ]


mode = Mode(optimizer, effective=lambda rate, squared: rate / squared, faults=faults, norm="free")
