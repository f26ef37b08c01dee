"""Gradient descent on the training loss within a part of parameter space: a plane, a cut, a curve."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from ..stepping.step import batch_losses
from ..training.schedules import cosine
from .site import Site, gradients, load

# From coordinates (row, coordinate): the points where they lie (point, parameter), and what turns the
# loss gradients there into gradients of the coordinates.
Chart = Callable[[Tensor, Generator], tuple[Tensor, Callable[[Tensor], Tensor]]]

MOMENTUM = 0.9


def descend(
    site: Site,
    start: Tensor,
    chart: Chart,
    *,
    epochs: int,
    rate: float,
    purpose: str,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> Tensor:
    """Coordinates after SGD with momentum 0.9 on the training loss, the rate falling to 0 as a cosine.

    There is no weight decay: it would pull towards the origin, off the plane that is asked about. Batches are
    those of the recipe, the same for all points.

    Args:
        site: Where.
        start: Coordinates, (row, coordinate).
        chart: Places them.
        epochs: How often every training image is seen.
        rate: The largest learning rate.
        purpose: Names the random stream.
        on_epoch: Called with the number of epochs done, after each.

    Returns:
        As `start`.
    """
    generator = site.stream(purpose)
    z, velocity = start.clone(), torch.zeros_like(start)
    points, _ = chart(z, generator)
    network = site.network(points).train()
    size, images = site.cell.recipe.batch_size, len(site.parts.labels)
    steps, done = epochs * math.ceil(images / size), 0
    for epoch in range(epochs):
        for some, labels in site.batches(len(points), generator):
            points, pull = chart(z, generator)
            load(network, points)
            network.zero_grad(set_to_none=True)
            batch_losses(network, some, labels).sum().backward()
            velocity = MOMENTUM * velocity + pull(gradients(network, len(points)))
            z = z - rate * cosine(done / steps) * velocity
            done += 1
        on_epoch(epoch + 1)
    return z


def normal_to(basis: Tensor) -> Chart:
    """Points that move only at right angles to a subspace.

    Args:
        basis: Orthonormal, (direction, parameter).
    """
    return lambda points, _: (points, lambda slopes: slopes - (slopes @ basis.T) @ basis)


def within(origin: Tensor, basis: Tensor) -> Chart:
    """Points of an affine subspace, by their coordinates in it.

    Args:
        origin: (parameter,).
        basis: Orthonormal, (direction, parameter).
    """
    return lambda z, _: (origin + z @ basis, lambda slopes: slopes @ basis.T)


def orthonormal(rows: Tensor) -> Tensor:
    """An orthonormal basis of the span of some rows, (row, parameter), in their type.

    >>> orthonormal(torch.tensor([[3.0, 4.0], [0.0, 1.0]])).abs()
    tensor([[0.6000, 0.8000],
            [0.8000, 0.6000]])
    """
    basis: Tensor = torch.linalg.qr(rows.double().T).Q.T
    return basis.to(rows)
