"""The wedge model: low loss is a union of wedges, each long in n axes and thin in the other s = D - n.

There is one wedge for every choice of n of the D axes. The surrogate loss of a point is its distance to
the nearest wedge, with wedges so thin and so long that they are coordinate subspaces:

    L(P) = sqrt(sum of squares of the s smallest |P_i|)

The nearest wedge is long in the n largest coordinates. Where no tie is near, L^2 / 2 is quadratic: its
Hessian is 1 along each of the s short axes and 0 along the others.

Two wedges meet in the subspace of the axes that are long in both. Away from it one leaves one wedge or
the other along every axis that is short in either: 2 s of them, less those short in both. A chain of
wedges, each with one axis exchanged, leads from one to the other as well and needs s + 1 at most.

Source: Fort & Jastrzebski 2019, arXiv:1906.04724. What is said of ties and of Hessians is derived here.
"""

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import Array, Integers, Mask
from ..errors import ArgumentError


def wedge_loss(points: ArrayLike, n: int) -> Array:
    """The surrogate loss: the distance to the nearest wedge.

    Args:
        points: (..., D), finite.
        n: Long axes of a wedge, 0 to D.

    Returns:
        (...), in the unit of the points, in float64.

    Raises:
        ArgumentError: Points without axes or not finite, or an n that cannot be.

    Example:
        >>> float(wedge_loss([10.0, -3.0, 4.0], 1))
        5.0
    """
    found = checked(points, n)
    short = found.shape[-1] - n
    if short == 0:
        return np.zeros(found.shape[:-1])
    smallest = np.partition(np.abs(found), short - 1, axis=-1)[..., :short]
    return _length(smallest)


def loss_and_gradient(points: ArrayLike, n: int) -> tuple[Array, Array]:
    """The surrogate loss and its gradient.

    The gradient is P / L along the short axes of the nearest wedge and 0 along its long ones: of length 1,
    straight away from that wedge. Inside a wedge, where L = 0 has a kink, it is 0, which is a subgradient.
    Where several wedges are equally near it is the gradient for the one that `nearest_wedge` names, which
    is one of the limits of gradients from nearby.

    Args:
        points: (..., D), finite.
        n: Long axes of a wedge, 0 to D.

    Returns:
        The loss, (...), and the gradient, (..., D), in float64.

    Raises:
        ArgumentError: As from `wedge_loss`.

    Example:
        >>> loss, gradient = loss_and_gradient([10.0, -3.0, 4.0], 1)
        >>> float(loss), gradient.tolist()
        (5.0, [0.0, -0.6, 0.8])
    """
    found = checked(points, n)
    gradient = np.where(_short(found, n), found, 0.0)
    loss = _length(gradient)
    np.divide(gradient, loss[..., None], out=gradient, where=loss[..., None] > 0)
    return loss, gradient


def short_axes(points: ArrayLike, n: int) -> Mask:
    """Which axes are short in the wedge nearest to a point: all but its n largest coordinates.

    Of coordinates that tie for the last long axis, the first are long.

    Args:
        points: (..., D), finite.
        n: Long axes of a wedge, 0 to D.

    Returns:
        (..., D), True for the D - n short axes.

    Raises:
        ArgumentError: As from `wedge_loss`.

    Example:
        >>> short_axes([10.0, -3.0, 4.0, 3.0], 2).tolist()
        [False, True, False, True]
    """
    return _short(checked(points, n), n)


def nearest_wedge(points: ArrayLike, n: int) -> Integers:
    """The long axes of the wedge nearest to a point; of several, as `short_axes` says.

    Args:
        points: (..., D), finite.
        n: Long axes of a wedge, 0 to D.

    Returns:
        (..., n), axes from 0 in ascending order.

    Raises:
        ArgumentError: As from `wedge_loss`.

    Example:
        >>> nearest_wedge([10.0, -3.0, 4.0], 2).tolist()
        [0, 2]
    """
    long = ~_short(checked(points, n), n)
    return np.nonzero(long)[-1].reshape(*long.shape[:-1], n).astype(np.int64)


def short_directions(points: ArrayLike, n: int, tolerance: float = 0.0) -> Integers:
    """How many axes are short in at least one of the wedges nearest to a point.

    These are the axes no longer than the s-th smallest coordinate: s of them where one wedge is nearest,
    and where wedges meet all axes that are short in any of them. They span the gradients of L at points
    close by, and are the directions of curvature of L^2 averaged over a small ball.

    Args:
        points: (..., D), finite.
        n: Long axes of a wedge, 0 to D.
        tolerance: How much longer than the s-th smallest coordinate an axis may be and still count, not
            negative, in the unit of the points.

    Returns:
        (...), each 0 for n = D, and otherwise D - n to D.

    Raises:
        ArgumentError: As from `wedge_loss`, or a negative tolerance.

    Example:
        >>> short_directions([[5.0, 7.0, 0.0, 0.0], [5.0, 0.0, 0.0, 0.0]], 2).tolist()
        [2, 3]
    """
    sizes = np.abs(checked(points, n))
    if not tolerance >= 0:
        raise ArgumentError(f"tolerance {tolerance:g} must be 0 or above.")
    short = sizes.shape[-1] - n
    if short == 0:
        return np.zeros(sizes.shape[:-1], np.int64)
    longest = np.partition(sizes, short - 1, axis=-1)[..., short - 1, None]
    return np.count_nonzero(sizes <= longest + tolerance, axis=-1, keepdims=True)[..., 0]


def expected_at_meeting(dimension: int, n: int) -> float:
    """Short directions where two wedges of random axes meet, in the mean: D - n^2 / D = 2 s - s^2 / D.

    Args:
        dimension: D, 1 or more.
        n: Long axes of a wedge, 0 to D.

    Raises:
        ArgumentError: A dimension or an n that cannot be.

    Example:
        >>> expected_at_meeting(100, 90)  # s = 10
        19.0
    """
    check_dimensions(dimension, n)
    return dimension - n * n / dimension


def connect(first: ArrayLike, second: ArrayLike, n: int) -> Array:
    """A path from one wedge to another through their meeting: the 1-connector of the model.

    From the first point to its projection onto the meeting of the two nearest wedges, along the meeting to
    the projection of the second, and on to the second. Between points in wedges the loss is 0 throughout.

    Args:
        first: (D,), finite.
        second: (D,), finite.
        n: Long axes of a wedge, 0 to D.

    Returns:
        (4, D): both ends and the two corners between them, to be joined by straight lines.

    Raises:
        ArgumentError: As from `wedge_loss`, or points that differ in shape.

    Example:
        >>> connect([5.0, 6.0, 0.0], [0.0, 2.0, 3.0], 2).tolist()
        [[5.0, 6.0, 0.0], [0.0, 6.0, 0.0], [0.0, 2.0, 0.0], [0.0, 2.0, 3.0]]
    """
    ends = checked(first, n), checked(second, n)
    if ends[0].ndim != 1 or ends[0].shape != ends[1].shape:
        raise ArgumentError(
            f"points of shapes {ends[0].shape} and {ends[1].shape} are not joined: give two of shape (D,)."
        )
    both = ~(_short(ends[0], n) | _short(ends[1], n))
    return np.stack([ends[0], ends[0] * both, ends[1] * both, ends[1]])


def checked(points: ArrayLike, n: int) -> Array:
    """The points in float64, if they and n can be.

    Raises:
        ArgumentError: They cannot.
    """
    found = np.asarray(points, np.float64)
    if found.ndim == 0 or found.shape[-1] == 0:
        raise ArgumentError(f"points of shape {found.shape} have no axes: give an array (..., D).")
    check_dimensions(found.shape[-1], n)
    if not np.isfinite(found).all():
        bad = int(np.count_nonzero(~np.isfinite(found)))
        raise ArgumentError(f"{bad} of {found.size} coordinates are not finite.")
    return found


def check_dimensions(dimension: int, part: int, name: str = "n", what: str = "long axes") -> None:
    """Refuses numbers of axes that cannot be.

    Raises:
        ArgumentError: A dimension below 1, or a part that is no whole number from 0 to it.
    """
    if not isinstance(dimension, Integral) or dimension < 1:
        raise ArgumentError(f"D = {dimension!r} must be a whole number, 1 or more.")
    if not isinstance(part, Integral) or not 0 <= part <= dimension:
        raise ArgumentError(
            f"{name} = {part!r} {what} in D = {dimension} cannot be: give a whole number, 0 to {dimension}."
        )


def _short(points: Array, n: int) -> Mask:
    sizes = np.abs(points)
    short = sizes.shape[-1] - n
    if n == 0 or short == 0:
        return np.full(sizes.shape, n == 0)
    last = np.partition(sizes, short, axis=-1)[..., short, None]  # the smallest of the n largest
    found: Mask = sizes < last
    ties = sizes == last
    # The last ties are short, as many as are still missing.
    missing = short - np.count_nonzero(found, axis=-1, keepdims=True)
    if missing.any():
        behind = np.flip(np.cumsum(np.flip(ties, -1), -1), -1)
        found |= ties & (behind <= missing)
    return found


def _length(vectors: Array) -> Array:
    found: Array = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))
    return found
