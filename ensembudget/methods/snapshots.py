"""A member is the networks at the ends of cycles of the learning rate, in one training run.

The recipe's epochs are divided into as many cycles as there are predictors, as evenly as whole epochs allow.
In each the rate falls from the recipe's by half a cosine, in place of the recipe's own schedule; at its end
the network is kept, statistics of batch norm and all. With one predictor that is a network trained by the
schedule `cosine`.

Source: Huang et al. 2017, arXiv:1704.00109; cyclical snapshots of Fort & Jastrzebski 2019, arXiv:1906.04724.
"""

import math
from collections.abc import Iterator

from torch import Tensor, nn

from ..records import MethodOptions, Recipe
from ._base import Finished, Method, Option, Unit
from ._packed import by_number, numbered


def ends(epochs: int, cycles: int) -> list[int]:
    """How many epochs are done at the end of each cycle.

    >>> ends(10, 4)
    [2, 5, 7, 10]
    """
    return [epochs * number // cycles for number in range(1, cycles + 1)]


def rate(recipe: Recipe, options: MethodOptions, epoch: int, factor: float) -> float:
    """Half a cosine over each cycle.

    >>> recipe = Recipe(epochs=4, learning_rate=1.0, weight_decay=0.0)
    >>> [round(rate(recipe, {"predictors": 2}, epoch, 1.0), 3) for epoch in range(4)]
    [1.0, 0.5, 1.0, 0.5]
    """
    done = ends(recipe.epochs, int(options["predictors"]))
    end = next(end for end in done if epoch < end)
    begin = max((other for other in done if other <= epoch), default=0)
    return (1 + math.cos(math.pi * ((epoch - begin) / (end - begin)))) / 2


def fault(recipe: Recipe, options: MethodOptions) -> str | None:
    cycles = options["predictors"]
    if int(cycles) <= recipe.epochs:
        return None
    return (
        f"{cycles:,} cycles do not fit into {recipe.epochs:,} epochs: each needs one at least. Set"
        f" method_options.predictors to at most {recipe.epochs:,}, or more epochs."
    )


class Snapshots:
    """Keeps the network's tensors at the end of every cycle."""

    def __init__(self, recipe: Recipe, options: MethodOptions) -> None:
        self._ends = ends(recipe.epochs, int(options["predictors"]))
        self._kept: list[dict[str, Tensor]] = []

    def keep(self, epoch: int, network: nn.Module) -> None:
        if epoch + 1 in self._ends:
            self._kept.append({name: tensor.clone() for name, tensor in network.state_dict().items()})

    def state(self) -> dict[str, Tensor]:
        return numbered(self._kept)

    def load(self, state: dict[str, Tensor], network: nn.Module) -> None:
        self._kept = by_number(state)

    def predictors(self, finished: Finished) -> Iterator[None]:
        for state in self._kept:
            finished.network.load_state_dict(state)
            yield None


method = Method(
    collect=Snapshots,
    unit=lambda options: Unit(int(options["predictors"]), int(options["predictors"])),
    options={"predictors": Option(4, 1, 1_000)},
    rate=rate,
    fault=fault,
)
