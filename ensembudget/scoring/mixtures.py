"""Losses of groups whose members are tempered, then averaged in probability."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..arrays import Array, Integers
from .curves import Curves
from .mixing import log_means, means_and_slopes
from .products import product

_AT_ONCE = 2**18  # numbers that are mixed at one time


class Mixtures(NamedTuple):
    """Groups of a pool's members. A problem is a group with a set of samples."""

    curves: Curves
    group_matrix: Array | None  # one where a member is in a group, (group, member); None: each is a group

    @property
    def groups(self) -> int:
        """How many there are."""
        return self.curves.members if self.group_matrix is None else len(self.group_matrix)

    @property
    def alone(self) -> bool:
        """Whether every group has one member; losses are then convex in 1 / T."""
        return self.group_matrix is None or bool((self.group_matrix.sum(1) == 1).all())

    def some(self, groups: Integers) -> "Mixtures":
        """These groups alone."""
        if len(groups) == self.groups:
            return self
        if self.group_matrix is None:
            return Mixtures(self.curves.some(groups), None)
        return Mixtures(self.curves, self.group_matrix[groups])

    def means_at(self, inverses: Array, weights: Array) -> Array:
        """Mean losses at some temperatures.

        Args:
            inverses: 1 / T, (point,).
            weights: Of the samples in each set, (sample, set), summing to 1 over the samples.

        Returns:
            Nats, (problem, point).
        """
        values = self.curves.at(inverses)
        means = np.zeros((self.groups, len(values), weights.shape[1]))
        for part in self._parts(len(values)):
            means -= _means(self._log_means(values[..., part]), weights[part], means.shape)
        return _by_problem(means)

    def means_on(self, panel: int, weights: Array) -> tuple[Array, Array]:
        """Mean losses and their slopes in 1 / T at a panel's nodes, each (problem, node)."""
        values, slopes = self.curves.on(panel)
        means = np.zeros((2, self.groups, len(values), weights.shape[1]))
        for part in self._parts(len(values)):
            logs, away = _flat(values[..., part]), _flat(slopes[..., part])
            if self.group_matrix is not None:
                logs, away = means_and_slopes(logs, away, self.group_matrix)
            means[0] -= _means(logs, weights[part], means[0].shape)
            means[1] -= _means(away, weights[part], means[1].shape)
        return _by_problem(means[0]), _by_problem(means[1])

    def add_losses_on(self, panel: int, counts: Array, weights: Array, losses: Array) -> None:
        """Adds losses that are interpolated on a panel.

        Args:
            panel: Its number.
            counts: The weight of each node's value for a group in a set, (group, node, set).
            weights: Of each sample's loss in a set, (sample, set).
            losses: Nats, (group, sample); added to.
        """
        values = self.curves.values_on(panel)
        for part in self._parts(len(values)):
            logs = self._log_means(values[..., part]).reshape(*counts.shape[:2], -1)
            share = product(counts.reshape(-1, counts.shape[2]), weights[part].T)
            losses[:, part] -= (logs * share.reshape(logs.shape)).sum(1)

    def _log_means(self, values: Array) -> Array:
        """(point, member, sample) to (group, point x sample)."""
        logs = _flat(values)
        return logs if self.group_matrix is None else log_means(logs, self.group_matrix)

    def _parts(self, points: int) -> Iterator[slice]:
        """Samples that are mixed at one time."""
        count = max(1, _AT_ONCE // (max(self.groups, self.curves.members) * points))
        return (slice(first, first + count) for first in range(0, self.curves.samples, count))


def _flat(values: Array) -> Array:
    """(point, member, sample) to (member, point x sample)."""
    return values.transpose(1, 0, 2).reshape(values.shape[1], -1)


def _means(values: Array, weights: Array, shape: tuple[int, ...]) -> Array:
    """(group, point x sample) by (sample, set) to (group, point, set)."""
    return product(values.reshape(-1, len(weights)), weights).reshape(shape)


def _by_problem(means: Array) -> Array:
    """(group, point, set) to (problem, point)."""
    return means.transpose(0, 2, 1).reshape(-1, means.shape[1])
