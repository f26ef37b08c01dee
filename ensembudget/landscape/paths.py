"""Paths between trained members: straight, optimised in planes, and curves with one bend.

Sources: planes normal to the line, Fort & Jastrzebski 2019, arXiv:1906.04724; curves with a bend, Garipov et
al. 2018, arXiv:1802.10026.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Generator, Tensor

from ..records import Point
from .descent import descend, normal_to, orthonormal
from .site import Site

Shape = Literal["bezier", "chain"]

SAMPLED = 4  # points of a curve in each step, one from each quarter of it


def between(start: Tensor, end: Tensor, shares: Sequence[float]) -> Tensor:
    """Points of the straight line, at shares of its length from 0 to 1, (point, parameter)."""
    return along(torch.stack([start, end]), shares)


def spread(count: int) -> list[float]:
    """Evenly spaced shares of a path, both ends among them.

    >>> spread(5)
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    return [i / (count - 1) for i in range(count)]


def along(knots: Tensor, shares: Sequence[float]) -> Tensor:
    """Points of the path that joins knots by straight pieces, equal shares of it, (point, parameter)."""
    pieces, found = len(knots) - 1, []
    for share in shares:
        piece = min(int(share * pieces), pieces - 1)
        rest = share * pieces - piece
        found.append((1 - rest) * knots[piece] + rest * knots[piece + 1])
    return torch.stack(found)


def through_planes(
    site: Site,
    start: Tensor,
    end: Tensor,
    segments: int,
    *,
    epochs: int,
    rate: float,
    on_epoch: Callable[[int], None] = lambda count: None,
) -> Tensor:
    """Knots of a path from one member to another: the 1-connector.

    The line between them is cut into segments. Through every point between two segments there is a hyperplane
    normal to the line; in each one a knot is moved to lower training loss. The middle one starts on the line.
    The others start later, halving by halving, on the straight piece between their neighbours. If all of them
    started on the line, neighbours would move in different directions, and the loss between them would be
    high.

    Args:
        site: Where.
        start: (parameter,).
        end: (parameter,).
        segments: 2 or more.
        epochs: As of `descend`, for every knot.
        rate: As of `descend`.
        on_epoch: Called with the number of epochs done, summed over the knots, out of
            `(segments - 1) * epochs`.

    Returns:
        (segment + 1, parameter), both ends among them.
    """
    plane = normal_to(orthonormal((end - start)[None]))
    knots, done = {0: start, segments: end}, 0
    for level in halvings(segments):
        placed = [
            between(knots[left], knots[right], [(middle - left) / (right - left)])
            for left, middle, right in level
        ]
        moved = descend(
            site, torch.cat(placed), plane, epochs=epochs, rate=rate, purpose="planes",
            on_epoch=_summed(on_epoch, done, len(level)),
        )  # fmt: skip
        knots.update(zip([middle for _, middle, _ in level], moved, strict=True))
        done += epochs * len(level)
    return torch.stack([knots[place] for place in sorted(knots)])


def _summed(on_epoch: Callable[[int], None], done: int, count: int) -> Callable[[int], None]:
    """Reports epochs of `count` knots side by side, after `done` of others."""
    return lambda epoch: on_epoch(done + epoch * count)


def halvings(segments: int) -> list[list[tuple[int, int, int]]]:
    """The places between two segments in the order of their halving: (left, middle, right), level by level.

    >>> halvings(4)
    [[(0, 2, 4)], [(0, 1, 2), (2, 3, 4)]]
    """
    levels, gaps = [], [(0, segments)]
    while level := [(left, (left + right) // 2, right) for left, right in gaps if right - left > 1]:
        levels.append(level)
        gaps = [half for left, middle, right in level for half in ((left, middle), (middle, right))]
    return levels


def weights_of(shape: Shape, share: float) -> tuple[float, float, float]:
    """What start, bend and end count at a share of a curve; they sum to 1.

    >>> weights_of("chain", 0.25), weights_of("bezier", 0.5)
    ((0.5, 0.5, 0.0), (0.25, 0.5, 0.25))
    """
    if shape == "bezier":
        return (1 - share) ** 2, 2 * share * (1 - share), share**2
    bend = 1 - abs(2 * share - 1)
    return max(0.0, 1 - 2 * share), bend, max(0.0, 2 * share - 1)


def curve(start: Tensor, bend: Tensor, end: Tensor, shape: Shape, shares: Sequence[float]) -> Tensor:
    """Points of a curve, (point, parameter)."""
    counts = torch.tensor([weights_of(shape, share) for share in shares], dtype=start.dtype)
    return counts @ torch.stack([start, bend, end])


def bent(
    site: Site,
    start: Tensor,
    end: Tensor,
    shape: Shape,
    *,
    epochs: int,
    rate: float,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> Tensor:
    """The bend of a curve from one member to another, at the least expected training loss along it.

    Each step takes one point at random from each quarter of the curve.

    Returns:
        (parameter,).
    """

    def chart(bend: Tensor, generator: Generator) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        drawn = torch.rand(SAMPLED, generator=generator)
        shares = [(i + float(rest)) / SAMPLED for i, rest in enumerate(drawn)]
        count = torch.tensor([weights_of(shape, share)[1] for share in shares], dtype=bend.dtype)
        points = curve(start, bend[0], end, shape, shares)
        return points, lambda slopes: (count @ slopes.to(bend) / SAMPLED)[None]

    middle = between(start, end, [0.5])
    return descend(site, middle, chart, epochs=epochs, rate=rate, purpose=shape, on_epoch=on_epoch)[0]


def barrier(points: Sequence[Point], value: Callable[[Point], float | None]) -> float | None:
    """How far a path rises above the straight line between the values at its ends, at most; 0 at least.

    Args:
        points: From one end of the path to the other, `at` from 0 to 1.
        value: Of a point; where one is None, so is the barrier.
    """
    first, last = value(points[0]), value(points[-1])
    if first is None or last is None:
        return None
    rises = []
    for point in points:
        here = value(point)
        if here is None:
            return None
        rises.append(here - ((1 - point.at) * first + point.at * last))
    return max(rises)
