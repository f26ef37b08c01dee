"""Conventional training with Nesterov's momentum."""

from torch import nn
from torch.optim import SGD, Optimizer

from ensembudget.families._invariance import Invariant
from ensembudget.modes._base import Mode
from ensembudget.records import Recipe


def optimizer(network: nn.Module, recipe: Recipe, invariant: Invariant) -> Optimizer:
    return SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=True,
    )


def faults(recipe: Recipe, invariant: Invariant) -> list[str]:
    return [] if recipe.momentum else ["Nesterov's momentum needs recipe.momentum above 0, say 0.9."]


mode = Mode(optimizer, effective=lambda rate, squared: rate / squared, faults=faults, norm="free")
