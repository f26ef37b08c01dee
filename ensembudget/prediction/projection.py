"""Least squares whose coefficients are not negative, many small problems at once."""

from itertools import combinations

import numpy as np

from ..arrays import Array

ROUNDING = 1e-9  # relative, of what a coefficient at zero may still gain


def nonnegative(gram: Array, right: Array) -> tuple[Array, Array]:
    """The coefficients x >= 0 that minimise x' G x - 2 r' x, and by how much they lower it from zero.

    Sets of coefficients that may be above zero are tried until no other coefficient would gain (Karush, Kuhn
    and Tucker); where rounding hides that, the set that gains most is the solution.

    Args:
        gram: G, (problem, coefficient, coefficient).
        right: r, (problem, coefficient).

    Returns:
        (problem, coefficient) and (problem,).

    Example:
        >>> nonnegative(np.eye(2)[None], np.array([[3.0, -1.0]]))[0].tolist()
        [[3.0, 0.0]]
    """
    best, gained, left = np.zeros_like(right), np.zeros(len(right)), np.arange(len(right))
    for some in _supports(right.shape[1]):
        tried = np.zeros_like(right)
        tried[:, some] = np.linalg.solve(gram[:, some][:, :, some], right[:, some, None])[..., 0]
        gain = (tried * right).sum(1)
        better = (gain > gained[left]) & (tried >= 0).all(1)
        best[left[better]], gained[left[better]] = tried[better], gain[better]
        pull = right - (gram @ tried[..., None])[..., 0]
        rest = ~better | (pull > ROUNDING * np.abs(right)).any(1)
        left, gram, right = left[rest], gram[rest], right[rest]
        if not len(left):
            break
    return best, gained


def _supports(coefficients: int) -> list[list[int]]:
    """Every set of coefficients that may be above zero, the largest first."""
    sizes = range(coefficients, 0, -1)
    return [list(some) for size in sizes for some in combinations(range(coefficients), size)]
