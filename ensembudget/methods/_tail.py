"""The last part of training, in which the rate no longer falls to nothing and weights are gathered.

Source: Izmailov et al. 2018, arXiv:1803.05407, section 3; here a cycle is whole epochs, both ends included.
"""

import math

from ..records import MethodOptions, Recipe
from ._base import Option

# `start` is the share of the epochs before it, and `rate` a factor on the recipe's learning rates.
TAIL = {"start": Option(0.75, 0.0, 1.0), "rate": Option(0.5, 1e-6, 1e3)}


def first(recipe: Recipe, options: MethodOptions) -> int:
    """How many epochs come before it.

    >>> recipe = Recipe(epochs=10, learning_rate=1.0, weight_decay=0.0)
    >>> first(recipe, {"start": 0.75}), first(recipe, {"start": 0.3}), first(recipe, {"start": 1.0})
    (7, 3, 10)
    """
    # 0.7 of 10 epochs are 7, though 10 x 0.7 is just below in binary.
    return int(recipe.epochs * float(options["start"]) + 1e-9)


def ends(recipe: Recipe, options: MethodOptions) -> list[int]:
    """The epochs at whose ends weights are gathered, counted from 0: the last of every whole cycle.

    >>> recipe = Recipe(epochs=10, learning_rate=1.0, weight_decay=0.0)
    >>> ends(recipe, {"start": 0.5, "cycle": 2}), ends(recipe, {"start": 0.5})
    ([6, 8], [5, 6, 7, 8, 9])
    """
    begin, cycle = first(recipe, options), int(options.get("cycle", 1))
    return list(range(begin + cycle - 1, recipe.epochs, cycle))


def rate(recipe: Recipe, options: MethodOptions, epoch: int, factor: float) -> float:
    """The recipe's own factor before it; then `rate`, or falling by cycles from `rate` to `low`.

    >>> recipe = Recipe(epochs=6, learning_rate=1.0, weight_decay=0.0)
    >>> cyclical = {"start": 0.3, "rate": 0.5, "cycle": 3, "low": 0.1}
    >>> [rate(recipe, cyclical, epoch, 1.0) for epoch in range(6)]
    [1.0, 0.5, 0.3, 0.1, 0.5, 0.3]
    """
    begin, cycle = first(recipe, options), int(options.get("cycle", 1))
    high = float(options["rate"])
    if epoch < begin:
        return factor
    if cycle == 1:
        return high
    share = (epoch - begin) % cycle / (cycle - 1)
    return high * (1 - share) + float(options["low"]) * share


def fault(recipe: Recipe, options: MethodOptions, least: int = 1) -> str | None:
    """Why too few networks are gathered, or None."""
    count, begin = len(ends(recipe, options)), first(recipe, options)
    if count >= least:
        return None
    needed = least * int(options.get("cycle", 1))
    share = math.floor(1e4 * (recipe.epochs - needed) / recipe.epochs) / 1e4
    remedy = f"method_options.start to at most {share:g}, or more" if share >= 0 else f"at least {needed:,}"
    return (
        f"start = {options['start']:g} gathers weights after epoch {begin:,} of {recipe.epochs:,}, at the"
        f" ends of {count:,} cycles, and {least:,} {'is' if least == 1 else 'are'} needed."
        f" Set {remedy} epochs."
    )
