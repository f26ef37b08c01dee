"""The log-probability of each sample's label as a function of 1 / T, for each member alone.

Temperatures meet classes here and nowhere else. What is tabulated has one number a member and sample, and
every ensemble's loss at every temperature follows from it.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..arrays import Array, Integers
from .blocks import blocks
from .panels import NODES, ends

KEPT = 2**25  # numbers kept for a second use
RECENT = 3  # panels whose slopes are kept too: those that groups still move to and fro between


class PanelTable(NamedTuple):
    """Log-probabilities of the labels at a panel's nodes, and their slopes in 1 / T."""

    values: Array  # (node, member, sample)
    slopes: Array  # (node, member, sample)


class Curves:
    """The predictions of a pool's members as functions of 1 / T.

    Args:
        logits: Or log-probabilities, (member, sample, class), any float dtype.
        labels: (sample,), int64.
    """

    def __init__(self, logits: Tensor, labels: Tensor) -> None:
        self.members, self.samples = logits.shape[:2]
        self._logits, self._labels = logits, labels.numpy()
        self._values: dict[int, Array] = {}
        self._slopes: dict[int, Array] = {}

    def at(self, inverses: Array) -> Array:
        """Log-probabilities of the labels: 1 / T (temperature,) to (temperature, member, sample)."""
        values = self._empty(len(inverses))
        for where, every, own in self._blocks():
            weights = np.empty_like(every)
            for value, inverse in zip(values, inverses, strict=True):
                np.exp(np.multiply(every, inverse, out=weights), out=weights)
                value[where] = inverse * own - np.log(weights.sum(1))
        return values

    def losses_at(self, inverses: Array, weights: Array) -> Array:
        """Losses at temperatures of each member's own, summed over sets of samples.

        Args:
            inverses: 1 / T, (member, set).
            weights: Of each sample's loss in each set, (sample, set).

        Returns:
            Nats, (member, sample).
        """
        losses = np.zeros((self.members, self.samples))
        for (rows, columns), every, own in self._blocks():
            tempered = np.empty_like(every)
            for inverse, share in zip(inverses[rows].T, weights[columns].T, strict=True):
                np.exp(np.multiply(every, inverse[:, None, None], out=tempered), out=tempered)
                losses[rows, columns] += share * (np.log(tempered.sum(1)) - inverse[:, None] * own)
        return losses

    def some(self, members: Integers) -> "Curves":
        """Those of some members."""
        return Curves(self._logits[torch.from_numpy(members)], torch.from_numpy(self._labels))

    def on(self, panel: int) -> PanelTable:
        """The table of a panel.

        With p = softmax(z / T) at the label, d log p / d(1 / T) = z[label] - E[z]. Nodes are evenly
        spaced in 1 / T, so that from each to the next all weights change by the same factors.
        """
        if panel in self._slopes:
            return PanelTable(self._values[panel], self._slopes[panel])
        low, high = ends(panel)
        gap = (high - low) / (NODES - 1)
        values, slopes = self._empty(NODES), self._empty(NODES)
        for where, every, own in self._blocks():
            weights, step, product = np.exp(low * every), np.exp(gap * every), np.empty_like(every)
            for node in range(NODES):
                total = weights.sum(1)
                slopes[node][where] = own - np.multiply(weights, every, out=product).sum(1) / total
                values[node][where] = (low + node * gap) * own - np.log(total)
                weights *= step
        if panel in self._values or (len(self._values) + 1) * values.size <= KEPT:
            self._values[panel], self._slopes[panel] = values, slopes
            if len(self._slopes) > RECENT:
                del self._slopes[next(iter(self._slopes))]
        return PanelTable(values, slopes)

    def values_on(self, panel: int) -> Array:
        """The values of a panel's table, kept from its first use where there is room."""
        return self._values[panel] if panel in self._values else self.on(panel).values

    def _empty(self, count: int) -> Array:
        return np.empty((count, self.members, self.samples))

    def _blocks(self) -> Iterator[tuple[tuple[slice, slice], Array, Array]]:
        """Members and samples, their logits (member, class, sample), those of the labels (member, sample)."""
        for where, every in blocks(self._logits):
            own = every[:, self._labels[where[1]], np.arange(every.shape[2])]
            yield where, every, own
