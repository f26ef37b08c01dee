"""A member is samples from a normal distribution of weights, fitted to those at the ends of the last epochs.

From the share `start` of the epochs on, the learning rate is `rate` times the recipe's. Of the weights at the
ends of these epochs the mean, the variance of each and the last K deviations from the running mean are
stored: 2 + K networks. A sample is

    mean + z1 sqrt(variance / 2) + D z2 / sqrt(2 (K - 1)),    z1 and z2 standard normal, D the deviations,

and batch norm's statistics are gathered anew for it on the training samples: whoever predicts needs these, or
stores the statistics of every sample beside.

Source: Maddox et al. 2019, arXiv:1902.02476, equation 1 and algorithm 1.
"""

from collections import deque
from collections.abc import Iterator

import torch
from torch import Generator, Tensor, nn

from ..records import MethodOptions, Recipe
from . import _tail
from ._base import Finished, Method, Option, Unit
from ._packed import (
    Weights,
    by_member,
    by_number,
    copied,
    normals,
    numbered,
    of_place,
    put,
    trained,
    within,
)


class Gaussian:
    """The moments of the weights of a pack, and samples from them; each member has its own.

    Attributes:
        count: How many networks were gathered.
        mean: Of each trained parameter.
        squares: Sums of squared deviations from the mean, as Welford's recursion keeps them: the variance is
            the papers' second moment minus the squared mean, without their cancellation.
        deviations: The last, from the mean at their time.
    """

    def __init__(self, recipe: Recipe, options: MethodOptions) -> None:
        self._ends = _tail.ends(recipe, options)
        self._samples = int(options["predictors"])
        self.count = 0
        self.mean: Weights = {}
        self.squares: Weights = {}
        self.deviations: deque[Weights] = deque(maxlen=int(options["deviations"]))

    @torch.no_grad()
    def keep(self, epoch: int, network: nn.Module) -> None:
        if epoch not in self._ends:
            return
        weights = trained(network)
        if not self.mean:
            self.mean = copied(weights)
            self.squares = {name: torch.zeros_like(tensor) for name, tensor in weights.items()}
        self.count += 1
        for name, tensor in weights.items():
            before = tensor - self.mean[name]
            self.mean[name] += before / self.count
            self.squares[name] += before * (tensor - self.mean[name])
        self.deviations.append({name: tensor - self.mean[name] for name, tensor in weights.items()})

    def state(self) -> dict[str, Tensor]:
        return {
            "count": torch.tensor(self.count),
            **within("mean", self.mean),
            **within("squares", self.squares),
            **within("deviations", numbered(self.deviations)),
        }

    def load(self, state: dict[str, Tensor], network: nn.Module) -> None:
        self.count = int(state["count"])
        self.mean, self.squares = of_place("mean", state), of_place("squares", state)
        self.deviations.extend(by_number(of_place("deviations", state)))

    def sample(self, generators: list[Generator]) -> Weights:
        """One sample of every member, each by its own generator."""
        rank = len(self.deviations)
        factors = torch.stack([torch.randn(rank, generator=one) for one in generators], 1)
        noise = normals(self.mean, generators)
        return {
            name: mean
            + noise[name] * (self.squares[name] / (2 * self.count)).clamp_min(0).sqrt()
            + self._low_rank(name, factors) / (2 * (rank - 1)) ** 0.5
            for name, mean in self.mean.items()
        }

    def _low_rank(self, name: str, factors: Tensor) -> Tensor:
        """The deviations of a parameter, weighted by factors (deviation, member) and added up."""
        found = torch.zeros_like(self.mean[name])
        for deviation, factor in zip(self.deviations, factors, strict=True):
            found += deviation[name] * by_member(factor, found)
        return found

    def predictors(self, finished: Finished) -> Iterator[None]:
        for number in range(self._samples):
            put(self.sample(finished.generators(number)), finished.network)
            finished.refit()
            yield None


def fault(recipe: Recipe, options: MethodOptions) -> str | None:
    return _tail.fault(recipe, options, least=int(options["deviations"]))


method = Method(
    collect=Gaussian,
    unit=lambda options: Unit(int(options["predictors"]), 2 + int(options["deviations"])),
    options={"predictors": Option(30, 1, 1_000), "deviations": Option(20, 2, 1_000), **_tail.TAIL},
    rate=_tail.rate,
    fault=fault,
)
