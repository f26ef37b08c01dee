"""Groups of a pool, and the averages of their members' probabilities."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from ..arrays import Array, Mask
from .blocks import blocks
from .products import product

AT_ONCE = 2**18  # numbers averaged at one time
_TINY = 1e-250  # below this, members whose own probability became zero may be missing from a sum


def groups(pool: int, size: int) -> list[slice]:
    """The disjoint groups of one size in a pool, starting at its first member.

    >>> groups(5, 2)
    [slice(0, 2, None), slice(2, 4, None)]
    """
    return [slice(first, first + size) for first in range(0, pool - size + 1, size)]


def group_matrix(pool: int, some: Sequence[slice]) -> Array:
    """One where a member is in a group, (group, member).

    >>> group_matrix(3, [slice(0, 2)])
    array([[1., 1., 0.]])
    """
    matrix = np.zeros((len(some), pool))
    for row, group in zip(matrix, some, strict=True):
        row[group] = 1
    return matrix


def pooled(logits: Tensor, matrix: Array) -> Tensor:
    """Log-probabilities of groups whose members are averaged in probability.

    Args:
        logits: (member, sample, class), any float dtype.
        matrix: As from `group_matrix`, (group, member).

    Returns:
        (group, sample, class), float64; in memory classes come before samples.
    """
    counted = np.flatnonzero(matrix.sum(0))
    used = slice(int(counted[0]), int(counted[-1]) + 1)
    logits, matrix = logits[used], matrix[:, used]
    members, samples, classes = logits.shape
    found = np.empty((len(matrix), classes, samples))
    width = max(1, AT_ONCE // (members * classes))
    for first in range(0, samples, width):
        part = logits[:, first : first + width]
        logs = np.empty((members, classes, part.shape[1]))
        for (rows, columns), block in blocks(part):
            logs[rows, :, columns] = block - np.log(np.exp(block).sum(1, keepdims=True))
        means = log_means(logs.reshape(members, -1), matrix)
        found[:, :, first : first + width] = means.reshape(-1, *logs.shape[1:])
    return torch.from_numpy(found).transpose(1, 2)


def log_means(logs: Array, matrix: Array) -> Array:
    """Logarithms of the groups' mean probabilities.

    Args:
        logs: Of members' probabilities, (member, place).
        matrix: As from `group_matrix`, (group, member).

    Returns:
        (group, place).
    """
    probs = product(matrix, np.exp(logs))
    # Sums before logarithms: where certain members tie, so do the sums, and rounding breaks no tie.
    with np.errstate(divide="ignore"):
        means: Array = np.log(probs) - np.log(matrix.sum(1, keepdims=True))
    for group, members, places in _lost(probs, matrix):
        part = logs[members][:, places]
        top = part.max(0)
        means[group, places] = top + log_means(part - top, matrix[group : group + 1, members])[0]
    return means


def mixed_slopes(logs: Array, slopes: Array, matrix: Array) -> Array:
    """Slopes of `log_means`: the members' own, weighted by their share of the group's probability.

    Args:
        logs: Of members' probabilities, (member, place).
        slopes: Of those logarithms, (member, place).
        matrix: As from `group_matrix`, (group, member).

    Returns:
        (group, place).
    """
    each = np.exp(logs)
    probs, mixed = product(matrix, each), product(matrix, each * slopes)
    with np.errstate(divide="ignore", invalid="ignore"):
        mixed /= probs
    for group, members, places in _lost(probs, matrix):
        part = logs[members][:, places]
        inside = matrix[group : group + 1, members]
        mixed[group, places] = mixed_slopes(part - part.max(0), slopes[members][:, places], inside)[0]
    return mixed


def _lost(probs: Array, matrix: Array) -> Iterator[tuple[int, Mask, Mask]]:
    """Groups whose probability may be wrong somewhere: the group, its members, and the places."""
    lost = probs < _TINY
    for group in np.flatnonzero(lost.any(1)).tolist():
        yield group, matrix[group] > 0, lost[group]
