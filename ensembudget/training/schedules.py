"""Learning-rate schedules: a factor for every epoch."""

import math
from collections.abc import Callable
from typing import NamedTuple

from ..records import Recipe


def plateau_linear(progress: float) -> float:
    """Constant for half the time, then linear to a hundredth at nine tenths, and constant again.

    Source: the code of Lobacheva et al. 2020, arXiv:2007.08483, in which epochs run from 1 to E.

    >>> [round(plateau_linear(p), 3) for p in (0, 0.5, 0.7, 0.9, 1)]
    [1.0, 1.0, 0.505, 0.01, 0.01]
    """
    if progress <= 0.5:
        return 1.0
    return 1 - 0.99 * (progress - 0.5) / 0.4 if progress <= 0.9 else 0.01


def cosine(progress: float) -> float:
    """Half a cosine from 1 to 0. Source: Loshchilov & Hutter 2017, arXiv:1608.03983.

    >>> [round(cosine(p), 3) for p in (0, 0.5, 1)]
    [1.0, 0.5, 0.0]
    """
    return (1 + math.cos(math.pi * progress)) / 2


def constant(progress: float) -> float:
    """1 throughout."""
    return 1.0


class Schedule(NamedTuple):
    """A factor as a function of progress, epoch / epochs, and the number of the first epoch."""

    factor: Callable[[float], float]
    first: int


SCHEDULES = {
    "plateau_linear": Schedule(plateau_linear, first=1),
    "cosine": Schedule(cosine, first=0),
    "constant": Schedule(constant, first=0),
}


def factor(recipe: Recipe, epoch: int) -> float:
    """The factor on a recipe's learning rates in an epoch, counted from 0.

    Source of `two_stage`: out of the chaotic equilibrium into convergence, Kodryan et al. 2022,
    arXiv:2209.03695.

    >>> recipe = Recipe(epochs=9, learning_rate=1.0, weight_decay=0.0, schedule="two_stage",
    ...                 drop_epoch=6, drop_factor=0.01)
    >>> [factor(recipe, epoch) for epoch in (0, 5, 6, 8)]
    [1.0, 1.0, 0.01, 0.01]
    """
    if recipe.schedule == "two_stage":
        assert recipe.drop_epoch is not None
        assert recipe.drop_factor is not None
        return 1.0 if epoch < recipe.drop_epoch else recipe.drop_factor
    schedule = SCHEDULES[recipe.schedule]
    return schedule.factor((epoch + schedule.first) / recipe.epochs)
