"""Random cuts of the wedge model: affine subspaces of dimension d, and the lowest loss inside them.

A cut in general position meets a wedge, a coordinate subspace of dimension n, if and only if d + n >= D.
So the lowest loss is 0 from d = D - n on. At d = D - n cut and wedge share a single point. Over random cuts
the chance that it is farther away than t falls as 1 / t only (for 0 < n < D), so its distance has no mean,
and gradient descent seldom arrives in a reasonable time. One dimension more gives 1 / t^2, and so on. What
descent meets is therefore a limit a little above D - n; Fort & Jastrzebski state it as d > D - n.

Below the limit the mean squared distance between one given wedge and a cut whose origin is standard normal
is D - n - d; the lowest loss is over all wedges, and so it is less.

Source: Fort & Jastrzebski 2019, arXiv:1906.04724. What is said of the boundary is derived here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from ..arrays import Array, Integers, Mask
from ..errors import ArgumentError
from .wedge import check_dimensions, checked, loss_and_gradient, nearest_wedge, short_axes, wedge_loss

ROUNDING = 1e-12  # of a point's length: what a loss of 0 may come to in float64
THICKNESS = 1e-6  # a loss up to this counts as inside a wedge; coordinates are of order 1
ORTHONORMAL = 1e-8  # how far a basis may be from orthonormal


@dataclass(frozen=True, eq=False)
class Cut:
    """The points origin + coordinates @ basis.

    Attributes:
        origin: (D,).
        basis: (d, D), orthonormal rows; d may be 0.

    Raises:
        ArgumentError: The shapes do not fit, or the rows are not orthonormal.
    """

    origin: Array
    basis: Array

    def __post_init__(self) -> None:
        shape, dimension = self.basis.shape, self.origin.shape
        if len(shape) != 2 or shape[1:] != dimension or shape[0] > shape[1]:
            raise ArgumentError(
                f"an origin {dimension} and a basis {shape} make no cut: give (D,) and (d, D), d at most D."
            )
        error = np.abs(self.basis @ self.basis.T - np.eye(len(self.basis))).max(initial=0)
        if not error <= ORTHONORMAL:
            raise ArgumentError(
                f"the basis is {error:.1g} away from orthonormal rows; at most {ORTHONORMAL:g} can be."
            )


@dataclass(frozen=True, eq=False)
class CutMinimum:
    """The lowest point that was found in a cut.

    Attributes:
        point: (D,).
        wedge: (n,), the long axes of the wedge nearest to it.
        loss: Its distance to that wedge; 0 where it is no more than rounding.
        distance: How far it lies from the cut's origin.
    """

    point: Array
    wedge: Integers
    loss: float
    distance: float


@dataclass(frozen=True)
class CutResult:
    """What became of several random cuts of one dimension.

    Attributes:
        dimension: D.
        wedge: n, the long axes of a wedge.
        cut: d, the dimension of the cuts.
        repeats: How many cuts.
        reached: The median of the lowest losses, by exact minimisation.
        distance: The median distance of these minima from the origins of their cuts.
        succeeded: The share of cuts whose lowest loss is at most `THICKNESS`.
        steps: How many steps of gradient descent.
        descent_reached: The median of the losses after these.
        descent_succeeded: The share of cuts in which that loss is at most `THICKNESS`.
    """

    dimension: int
    wedge: int
    cut: int
    repeats: int
    reached: float
    distance: float
    succeeded: float
    steps: int
    descent_reached: float
    descent_succeeded: float

    @property
    def limit(self) -> int:
        """D - n: the least dimension of a cut that meets a wedge."""
        return self.dimension - self.wedge


def random_cut(dimension: int, d: int, generator: Generator) -> Cut:
    """A cut through a standard normal origin, in directions that are uniform (QR of a Gaussian matrix).

    Args:
        dimension: D.
        d: Of the cut, 0 to D.
        generator: Draws the origin, then the directions.

    Raises:
        ArgumentError: A dimension that cannot be.

    Example:
        >>> random_cut(10, 3, np.random.default_rng(0)).basis.shape
        (3, 10)
    """
    check_dimensions(dimension, d, "d", "dimensions of a cut")
    origin = generator.standard_normal(dimension)
    basis, _ = np.linalg.qr(generator.standard_normal((dimension, d)))
    return Cut(origin, basis.T)


def minimise_in_cut(cut: Cut, n: int, *, starts: int = 1, generator: Generator | None = None) -> CutMinimum:
    """The lowest loss inside a cut.

    Which axes are long is a choice among many, so the loss has many minima. From a wedge the exact point of
    the cut nearest to it is found by least squares; then the wedge nearest to that point takes its place,
    until the loss no longer falls. This ends at a local minimum, for the loss falls with every change and
    wedges are finite in number. From d = D - n on the first wedge gives 0; below, more starts may find less.

    Args:
        cut: Where to look.
        n: Long axes of a wedge, 0 to D.
        starts: How many wedges to start from: the one nearest to the cut's origin, then random ones.
        generator: Draws those; needed for more than one start.

    Returns:
        The lowest of the minima. Where many points of the cut lie in its wedge, one close to the origin.

    Raises:
        ArgumentError: An n or a number of starts that cannot be, or several starts without a generator.

    Example:
        >>> cut = Cut(np.array([3.0, 4.0, 5.0]), np.array([[1.0, 0.0, 0.0]]))
        >>> found = minimise_in_cut(cut, 1)
        >>> found.loss, found.wedge.tolist(), found.point.tolist()
        (4.0, [2], [0.0, 4.0, 5.0])
    """
    origin = checked(cut.origin, n)
    if starts < 1 or (starts > 1 and generator is None):
        raise ArgumentError(f"starts = {starts}: give 1, or more with a generator that draws them.")
    best, loss = _lowest(cut, n, short_axes(origin, n))
    for _ in range(starts - 1):
        if loss == 0 or generator is None:
            break
        point, reached = _lowest(cut, n, short_axes(generator.random(len(origin)), n))
        if reached < loss:
            best, loss = point, reached
    return CutMinimum(best, nearest_wedge(best, n), loss, float(np.linalg.norm(best - origin)))


def _lowest(cut: Cut, n: int, short: Mask) -> tuple[Array, float]:
    """The minimum that is reached from a wedge, and its loss: 0 where it is rounding alone."""
    point, loss = cut.origin, np.inf
    while True:
        moves, *_ = np.linalg.lstsq(cut.basis[:, short].T, -point[short])
        moved = point + moves @ cut.basis
        reached = float(wedge_loss(moved, n))
        if reached <= ROUNDING * max(1, float(np.linalg.norm(moved))):
            return moved, 0.0
        if reached >= loss * (1 - ROUNDING):
            return point, loss
        point, loss, short = moved, reached, short_axes(moved, n)


def descend(
    points: ArrayLike, n: int, steps: int, *, basis: Array | None = None, rate: float = 1.0
) -> tuple[Array, Array]:
    """Gradient descent on L^2 / 2, in the whole space or inside cuts.

    The Hessian of L^2 / 2 is 1 along short axes, so rates below 2 are stable. In the whole space a step
    multiplies the loss by |1 - rate|, and a step of rate 1 ends in the nearest wedge. In a cut, steps
    of rate 1 are projections onto the nearest wedge and back onto the cut, in turns.

    Args:
        points: Where to start, (..., D), finite.
        n: Long axes of a wedge, 0 to D.
        steps: How many, 0 or more.
        basis: (..., d, D), orthonormal rows: the directions in which a point may move; all where not given.
        rate: Above 0 and below 2.

    Returns:
        The last points, (..., D), and the losses before each step and after the last, (steps + 1, ...).

    Raises:
        ArgumentError: As from `wedge_loss`, or a rate or a number of steps that cannot be.

    Example:
        >>> point, losses = descend([10.0, -3.0, 4.0], 1, steps=2, rate=0.5)
        >>> losses.tolist(), point.tolist()
        ([5.0, 2.5, 1.25], [10.0, -0.75, 1.0])
    """
    found = checked(points, n)
    if steps < 0 or not 0 < rate < 2:
        raise ArgumentError(f"{steps} steps of rate {rate:g}: give 0 or more, of a rate between 0 and 2.")
    losses = np.empty((steps + 1, *found.shape[:-1]))
    for step in range(steps + 1):
        losses[step], gradient = loss_and_gradient(found, n)
        if step == steps:
            break
        move = rate * losses[step][..., None] * gradient
        if basis is not None:
            move = ((basis @ move[..., None]).swapaxes(-1, -2) @ basis)[..., 0, :]
        found = found - move
    return found, losses


def cut_table(
    dimension: int,
    wedges: Sequence[int],
    repeats: int,
    seed: int,
    *,
    reach: int = 6,
    steps: int = 400,
    starts: int = 3,
) -> list[CutResult]:
    """How many random cuts meet a wedge, for dimensions d on both sides of the limit D - n.

    Args:
        dimension: D.
        wedges: The numbers n of long axes.
        repeats: Random cuts for each n and d, 1 or more.
        seed: Decides them; each n and d has a stream of its own, so that its row does not depend on others.
        reach: How far d goes below and above D - n, within 0 to D.
        steps: Of gradient descent, which starts at the origin of each cut.
        starts: Of exact minimisation.

    Returns:
        A row for each n, as given, and each d, ascending.

    Raises:
        ArgumentError: A number that cannot be.

    Example:
        >>> [(row.cut, row.succeeded) for row in cut_table(12, [8], 5, seed=0, reach=1)]
        [(3, 0.0), (4, 1.0), (5, 1.0)]
    """
    if repeats < 1 or reach < 0:
        raise ArgumentError(f"repeats = {repeats}, reach = {reach}: give 1 or more, and 0 or more.")
    rows = []
    for n in wedges:
        check_dimensions(dimension, n)
        limit = dimension - n
        for d in range(max(0, limit - reach), min(dimension, limit + reach) + 1):
            generator = np.random.default_rng([seed, dimension, n, d])
            cuts = [random_cut(dimension, d, generator) for _ in range(repeats)]
            lowest = [minimise_in_cut(cut, n, starts=starts, generator=generator) for cut in cuts]
            losses = np.array([one.loss for one in lowest])
            basis = np.stack([cut.basis for cut in cuts])
            _, descent = descend(np.stack([cut.origin for cut in cuts]), n, steps, basis=basis)
            rows.append(
                CutResult(
                    dimension, n, d, repeats,
                    reached=float(np.median(losses)),
                    distance=float(np.median([one.distance for one in lowest])),
                    succeeded=float((losses <= THICKNESS).mean()),
                    steps=steps,
                    descent_reached=float(np.median(descent[-1])),
                    descent_succeeded=float((descent[-1] <= THICKNESS).mean()),
                )
            )  # fmt: skip
    return rows
