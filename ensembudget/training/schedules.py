"""Learning-rate schedules: a factor on the learning rate for every epoch or step, and the warm-up."""

import math
from collections.abc import Callable
from typing import NamedTuple

from ..records import Recipe


def plateau_linear(progress: float) -> float:
    """1 for half of training, then linear to a hundredth at nine tenths, and constant again.

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


def linear(progress: float) -> float:
    """A straight line from 1 to 0. Source: Devlin et al. 2019, arXiv:1810.04805, appendix A.2.

    >>> [linear(p) for p in (0, 0.25, 1)]
    [1, 0.75, 0]
    """
    return 1 - progress


class Schedule(NamedTuple):
    """A schedule as a function of progress, from 0 to 1.

    Attributes:
        factor: From progress, epoch / epochs or step / steps, to the factor.
        first: The number of the first epoch or step, 0 or 1.
    """

    factor: Callable[[float], float]
    first: int


SCHEDULES = {
    "plateau_linear": Schedule(plateau_linear, first=1),
    "cosine": Schedule(cosine, first=0),
    "constant": Schedule(constant, first=0),
    "linear": Schedule(linear, first=0),
}


def warmup(recipe: Recipe, step: int) -> float:
    """The warm-up's factor in a step, counted from 0: it rises linearly to 1 over `warmup_steps` steps.

    >>> recipe = Recipe(epochs=9, learning_rate=1.0, weight_decay=0.0, warmup_steps=4)
    >>> [warmup(recipe, step) for step in (0, 1, 3, 4, 100)]
    [0.25, 0.5, 1.0, 1.0, 1.0]
    """
    return 1.0 if step >= recipe.warmup_steps else (step + 1) / recipe.warmup_steps


def factor(recipe: Recipe, epoch: int, step: int, steps: int) -> float:
    """The factor of a recipe's schedule on its learning rates; the warm-up's factor comes on top of it.

    A schedule by step starts after the warm-up and stays at its start until then. A schedule by epoch ignores
    the warm-up.

    Args:
        recipe: The recipe.
        epoch: The epoch, counted from 0.
        step: The step within the epoch, counted from 0.
        steps: Steps of one epoch.

    Source:
        `two_stage`, from the chaotic equilibrium to convergence: Kodryan et al. 2022, arXiv:2209.03695.
        `inverse_sqrt`: Vaswani et al. 2017, arXiv:1706.03762, equation 3, scaled so that the rate at the end
        of the warm-up is the recipe's.

    Example:
        >>> recipe = Recipe(epochs=9, learning_rate=1.0, weight_decay=0.0, schedule="two_stage",
        ...                 drop_epoch=6, drop_factor=0.01)
        >>> [factor(recipe, epoch, 0, 10) for epoch in (0, 5, 6, 8)]
        [1.0, 1.0, 0.01, 0.01]
        >>> recipe = Recipe(epochs=2, learning_rate=1.0, weight_decay=0.0, schedule="linear",
        ...                 schedule_by="step", warmup_steps=2)
        >>> [factor(recipe, epoch, step, 3) for epoch in (0, 1) for step in range(3)]
        [1.0, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    if recipe.schedule == "two_stage":
        assert recipe.drop_epoch is not None
        assert recipe.drop_factor is not None
        return 1.0 if epoch < recipe.drop_epoch else recipe.drop_factor
    warm, by_step = recipe.warmup_steps, recipe.schedule_by == "step"
    done = epoch * steps + (step if by_step else 0)
    if recipe.schedule == "inverse_sqrt":
        return math.sqrt(warm / max(warm, done + 1))
    schedule = SCHEDULES[recipe.schedule]
    if not by_step:
        return schedule.factor((epoch + schedule.first) / recipe.epochs)
    # At least 1: a run may end within its warm-up.
    left = max(1, recipe.epochs * steps - warm)
    return schedule.factor((max(0, done - warm) + schedule.first) / left)
