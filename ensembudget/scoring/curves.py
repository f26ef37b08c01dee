"""The log-probability of each sample's label as a function of 1 / T, for each member alone.

Temperatures meet classes here and nowhere else. What is tabulated has one number a member and sample, and
every ensemble's loss at every temperature follows from it.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch import Tensor

from ..arrays import Array
from .blocks import blocks
from .panels import NODES, ends

KEPT = 2**25  # numbers kept for a second use


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
        self._kept: dict[int, Array] = {}

    def at(self, inverses: Array) -> Array:
        """Log-probabilities of the labels: 1 / T (temperature,) to (temperature, member, sample)."""
        values = self._empty(len(inverses))
        for where, every, own in self._blocks():
            weights = np.empty_like(every)
            for value, inverse in zip(values, inverses, strict=True):
                np.exp(np.multiply(every, inverse, out=weights), out=weights)
                value[where] = inverse * own - np.log(weights.sum(1))
        return values

    def on(self, panel: int) -> PanelTable:
        """The table of a panel.

        With p = softmax(z / T) at the label, d log p / d(1 / T) = z[label] - E[z]. Nodes are evenly
        spaced in 1 / T, so that from each to the next all weights change by the same factors.
        """
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
        if (len(self._kept) + 1) * values.size <= KEPT:
            self._kept[panel] = values
        return PanelTable(values, slopes)

    def values_on(self, panel: int) -> Array:
        """The values of a panel's table, kept from its first use where there is room."""
        return self._kept[panel] if panel in self._kept else self.on(panel).values

    def _empty(self, count: int) -> Array:
        return np.empty((count, self.members, self.samples))

    def _blocks(self) -> Iterator[tuple[tuple[slice, slice], Array, Array]]:
        """Members and samples, their logits (member, class, sample), those of the labels (member, sample)."""
        for where, every in blocks(self._logits):
            own = every[:, self._labels[where[1]], np.arange(every.shape[2])]
            yield where, every, own
