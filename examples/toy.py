"""A toy of training on the sphere, F(x, y) = sum a x^2 / (x^2 + y^2): its boundary of convergence is exact.

Each pair (x, y) is a scale-invariant group. All groups lie together on the unit sphere and move at one
effective learning rate e. A group at radius p has its own rate e / p^2, and its minimum is stable if and
only if a e / p^2 < 1. Radii settle so that 1/e is the sum of the groups' inverse rates. So training
converges if and only if e < 1 / sum a.

    python examples/toy.py     # the loss below and above the boundary

Source: the function is that of Kodryan et al. 2022, arXiv:2209.03695; the boundary is derived above.
"""

from collections.abc import Sequence

import numpy as np

from ensembudget.arrays import Array


def boundary(alphas: Sequence[float]) -> float:
    """The effective learning rate below which training converges.

    >>> boundary([1.0, 3.0])
    0.25
    """
    return 1 / sum(alphas)


def loss(alphas: Array, x: Array, y: Array) -> float:
    return float((alphas * x**2 / (x**2 + y**2)).sum())


def descend(alphas: Sequence[float], rate: float, steps: int, *, seed: int = 0) -> Array:
    """Projected gradient descent from a random point of the unit sphere.

    Args:
        alphas: The factor a of each group, positive.
        rate: The effective learning rate.
        steps: How many steps.
        seed: Decides the starting point.

    Returns:
        The loss before each step and after the last, (steps + 1,).

    Example:
        >>> alphas = [1.0, 2.0, 4.0]
        >>> bool(descend(alphas, 0.99 * boundary(alphas), 50_000)[-1] < 1e-30)
        True
    """
    a = np.asarray(alphas, np.float64)
    x, y = np.random.default_rng(seed).standard_normal((2, len(a)))
    losses = np.empty(steps + 1)
    for step in range(steps + 1):
        size = np.sqrt((x**2 + y**2).sum())
        x, y = x / size, y / size
        losses[step] = loss(a, x, y)
        # The gradient of a x^2 / r^2 is (2 a x y / r^4) (y, -x): at right angles to (x, y).
        pull = rate * 2 * a * x * y / (x**2 + y**2) ** 2
        x, y = x - pull * y, y + pull * x
    return losses


def main() -> None:
    alphas = [1.0, 2.0, 4.0]
    print(f"alphas {alphas}, boundary {boundary(alphas):.4f}")
    for factor in (0.5, 0.99, 1.01, 3.0, 100.0):
        losses = descend(alphas, factor * boundary(alphas), 50_000)
        late = losses[-2000:]
        print(
            f"{factor:6.2f} x boundary: last loss {losses[-1]:.3g}, mean of the last 2,000 {late.mean():.3g}"
        )
    print(f"a random point has {sum(alphas) / 2:.3g} in the mean")


if __name__ == "__main__":
    main()
