"""A member is points on the wall of the tunnel about one trained network: its weights, moved at random.

Each point lies in a random direction of the space of all trained weights, at the largest distance at which
the training loss has risen by at most `rise` nats over the centre's, batch norm's statistics gathered anew at
both. The distance is found by doubling from 1/16 of the centre's norm until the loss has risen by more, at
most to 4 norms, and then by halving the interval 5 times: it is at most 1/32 of itself, or 1/512 of the norm,
too short.

Source: samples from one low-loss tunnel, after Fort & Jastrzebski 2019, arXiv:1906.04724, and the random
subspaces of Fort et al. 2019, arXiv:1912.02757. The rule for the distance is ours.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..records import MethodOptions, Recipe
from ._base import Finished, Method, Option, Unit
from ._last import Last
from ._packed import Weights, by_member, copied, normals, norms, put, trained

FIRST, DOUBLINGS, HALVINGS = 1 / 16, 6, 5  # of the distance, in norms of the centre


def bracket(
    risen: Callable[[Tensor], Tensor], first: Tensor, doublings: int, halvings: int
) -> tuple[Tensor, Tensor]:
    """Distances within which each loss has not risen too far, and beyond which it has, (loss,) each.

    Args:
        risen: Whether each has, (loss,), at these distances, (loss,).
        first: Where each is asked first, (loss,).
        doublings: How often a distance is doubled at most, until its loss has risen.
        halvings: How often the interval is halved then.

    Returns:
        The ends of the last intervals; the upper one is infinite where the loss never rises.

    Example:
        >>> first = torch.full((3,), 1 / 16)
        >>> bracket(lambda distances: distances > torch.tensor([0.02, 0.3, 100.0]), first, 6, 5)
        (tensor([0.0195, 0.2969, 4.0000]), tensor([0.0215, 0.3047,    inf]))
    """
    low, high = torch.zeros_like(first), first
    found = torch.zeros_like(first, dtype=torch.bool)
    for _ in range(doublings + 1):
        found |= risen(high)
        low = torch.where(found, low, high)
        if found.all():
            break
        high = torch.where(found, high, 2 * high)
    high = torch.where(found, high, low)
    for _ in range(halvings):
        middle = (low + high) / 2
        over = risen(middle)
        low, high = torch.where(over, low, middle), torch.where(over, middle, high)
    return low, torch.where(found, high, torch.inf)


class Tunnel(Last):
    """Moves the network's weights from where training left them."""

    def __init__(self, recipe: Recipe, options: MethodOptions) -> None:
        self._points, self._rise = int(options["predictors"]), float(options["rise"])

    @torch.no_grad()
    def predictors(self, finished: Finished) -> Iterator[Tensor]:
        centre = copied(trained(finished.network))
        finished.refit()
        ceiling = finished.losses() + self._rise
        for number in range(self._points):
            step = _as_long(normals(centre, finished.generators(number)), centre, finished.members)
            yield _moved(finished, centre, step, ceiling)


def _as_long(direction: Weights, centre: Weights, members: int) -> Weights:
    """A direction of every member, as long as its centre."""
    scale = norms(centre.values(), members) / norms(direction.values(), members)
    return {name: tensor * by_member(scale, tensor) for name, tensor in direction.items()}


def _moved(finished: Finished, centre: Weights, step: Weights, ceiling: Tensor) -> Tensor:
    """Moves every member along its step as far as its loss stays below the ceiling; how far, (member,)."""

    def move(distances: Tensor) -> None:
        there = {n: tensor + step[n] * by_member(distances, tensor) for n, tensor in centre.items()}
        put(there, finished.network)
        finished.refit()

    def risen(distances: Tensor) -> Tensor:
        move(distances)
        return ~(finished.losses() <= ceiling)  # a loss that is no number has risen

    first = torch.full((finished.members,), FIRST, dtype=torch.float64)
    distances, _ = bracket(risen, first, DOUBLINGS, HALVINGS)
    move(distances)
    return distances


method = Method(
    collect=Tunnel,
    unit=lambda options: Unit(int(options["predictors"]), int(options["predictors"])),
    options={"predictors": Option(4, 1, 1_000), "rise": Option(0.1, 1e-6, 100.0)},
)
