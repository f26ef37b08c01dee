"""How wide the low-loss region around a trained member is: radial tunnels and short directions.

Source: Fort & Jastrzebski 2019, arXiv:1906.04724. How far they went and at what loss they stopped is not
published; the rise of the loss that ends a tunnel is an option here.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal
from torch import Generator, Tensor, nn

from ..methods.tunnel import bracket
from ..packing.batches import for_all
from ..training.curvature import hessian_of, without_memory
from .site import Site, train_losses

FIRST = 0.05  # radii begin at this share of the weights' norm
DOUBLINGS = 12  # a radius is looked for up to 200 times the norm
HALVINGS = 8  # then it is known to 0.4% of the last doubling

CURVED_SAMPLES = 500  # training samples that curvature is of
LANCZOS_STEPS = 60
LANCZOS_VECTORS = 4


def directions(dimension: int, count: int, generator: Generator) -> Tensor:
    """Random unit vectors, (direction, parameter)."""
    return F.normalize(torch.randn(count, dimension, generator=generator))


def radii(site: Site, centre: Tensor, units: Tensor, rise: float) -> Tensor:
    """How far one can go from a point before the training loss has risen by so much.

    Batch norm's statistics are gathered anew at every point. A radius is doubled until the loss has risen,
    and the last doubling is halved 8 times.

    Args:
        site: Where.
        centre: (parameter,).
        units: Unit vectors, (direction, parameter).
        rise: Above the loss at the centre, nats.

    Returns:
        (direction,), in the units of weights; infinite where the loss does not rise so far.
    """
    limit = train_losses(site, centre[None])[0] + rise

    def risen(at: Tensor) -> Tensor:
        return ~(
            train_losses(site, centre + at[:, None] * units) <= limit
        )  # a loss that is no number has risen

    first = torch.full((len(units),), FIRST * float(centre.norm()))
    low, high = bracket(risen, first, DOUBLINGS, HALVINGS)
    return (low + high) / 2


def short_directions(site: Site, point: Tensor, threshold: float, generator: Generator) -> float:
    """About how many eigenvalues of the Hessian of the training loss are above a threshold.

    Stochastic Lanczos quadrature: 60 steps from each of 4 random vectors. Batch norm uses the 500 samples.

    Args:
        site: Where.
        point: (parameter,).
        threshold: Of curvature, nats per squared unit of weight.
        generator: Draws the vectors.
    """
    network: nn.Module = without_memory(site.network(point[None]))
    logits = network(for_all(site.parts.inputs[:CURVED_SAMPLES], 1, site.feed)).flatten(0, -2)
    labels = site.parts.labels[:CURVED_SAMPLES].to(site.device).flatten()
    tensors = [one for one in network.parameters() if one.requires_grad]
    product = hessian_of(F.cross_entropy(logits, labels), tensors)
    count = sum(one.numel() for one in tensors)
    shares = []
    for start in directions(count, LANCZOS_VECTORS, generator):
        values, weights = lanczos(lambda v: product(v.to(logits)).double().cpu(), start, LANCZOS_STEPS)
        shares.append(weights[values > threshold].sum())
    return float(count * np.mean(shares))


def lanczos(
    product: Callable[[Tensor], Tensor], start: Tensor, steps: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights of the Gauss quadrature of a symmetric operator's spectrum, seen from a vector.

    Every new vector is made orthogonal to all before it, twice, so that none comes again.

    Args:
        product: The operator times a vector, both (coordinate,), float64.
        start: A unit vector, (coordinate,).
        steps: How many nodes, at most as many as coordinates.

    Returns:
        Nodes and weights, (node,) each; weights sum to 1.
    """
    basis = [start.double() / start.double().norm()]
    diagonal, beside = [], []
    for step in range(min(steps, len(start))):
        vector = product(basis[-1])
        diagonal.append(float(vector @ basis[-1]))
        known = torch.stack(basis)
        for _ in range(2):
            vector = vector - known.T @ (known @ vector)
        length = float(vector.norm())
        # An invariant subspace: what is left is rounding.
        if step + 1 == min(steps, len(start)) or length < 1e-12 * max(map(abs, diagonal)):
            break
        beside.append(length)
        basis.append(vector / length)
    values, vectors = (
        np.asarray(found, np.float64) for found in eigh_tridiagonal(np.array(diagonal), np.array(beside))
    )
    return values, vectors[0] ** 2
