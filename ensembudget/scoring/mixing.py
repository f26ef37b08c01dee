"""Groups of a pool, and the averages of their members' probabilities."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..arrays import Array, Integers, Mask
from .blocks import blocks
from .products import product

AT_ONCE = 2**18  # numbers averaged at one time
_TINY = 1e-250  # below this, members whose own probability became zero may be missing from a sum
_BELOW = math.log(_TINY) + 3  # a member counts in a sum below it if its weight is at least 0.05


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
    for band in _bands(logs, matrix, probs):
        band.settle(means, band.log_means(matrix))
    return means


def means_and_slopes(logs: Array, slopes: Array, matrix: Array) -> tuple[Array, Array]:
    """`log_means`, and their slopes: the members' own, weighted by their share of the group's probability.

    Args:
        logs: Of members' probabilities, (member, place).
        slopes: Of those logarithms, (member, place).
        matrix: As from `group_matrix`, (group, member).

    Returns:
        Both (group, place).
    """
    each = np.exp(logs)
    probs, mixed = product(matrix, each), product(matrix, each * slopes)
    with np.errstate(divide="ignore", invalid="ignore"):
        means: Array = np.log(probs) - np.log(matrix.sum(1, keepdims=True))
        mixed /= probs
    for band in _bands(logs, matrix, probs):
        band.settle(means, band.log_means(matrix))
        own = product(matrix[band.groups], np.exp(band.logs) * slopes[:, band.places])
        with np.errstate(divide="ignore", invalid="ignore"):
            band.settle(mixed, own / band.probs)
    return means, mixed


class _Band(NamedTuple):
    """Members whose probabilities vanish beside others', made larger by one factor for each place.

    Attributes:
        groups: Whose own members all vanished at some place, (group,).
        places: Where that was so, (place,).
        found: Which of these groups have their sums from this band, (group, place).
        logs: Of the members' probabilities divided by the largest of the band, (member, place).
        top: The logarithm of that largest, (place,).
        probs: Sums of the groups, (group, place).
    """

    groups: Integers
    places: Integers
    found: Mask
    logs: Array
    top: Array
    probs: Array

    def log_means(self, matrix: Array) -> Array:
        with np.errstate(divide="ignore"):
            found: Array = self.top + np.log(self.probs) - np.log(matrix[self.groups].sum(1, keepdims=True))
        return found

    def settle(self, values: Array, own: Array) -> None:
        """Writes the band's own values where they are found."""
        where = np.ix_(self.groups, self.places)
        values[where] = np.where(self.found, own, values[where])


def _bands(logs: Array, matrix: Array, probs: Array) -> Iterator[_Band]:
    """Sums of the groups whose probability was too small to be right, from the most probable members down.

    All groups are summed at once, so that the number of bands is that of the scales that members differ by.
    """
    lost, top = probs < _TINY, np.zeros(logs.shape[1])
    while lost.any():
        groups, places = np.flatnonzero(lost.any(1)), np.flatnonzero(lost.any(0))
        part = logs[:, places]
        # More probable members are in no group that is still lost: its sum would not be.
        part = np.where(part < top[places] + _BELOW, part, -np.inf)
        top[places] = np.maximum(part.max(0), np.finfo(np.float64).min)
        part -= top[places]
        sums, inside = product(matrix[groups], np.exp(part)), lost[np.ix_(groups, places)]
        found = inside & (sums >= _TINY)
        yield _Band(groups, places, found, part, top[places], sums)
        lost[np.ix_(groups, places)] = inside & ~found & np.isfinite(part).any(0)
