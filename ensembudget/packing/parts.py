"""The samples and labels that a cell trains, validates and tests on."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..datasets._base import Arrays
from ..datasets._order import permutation
from ..records import Cell
from ..tasks._base import IGNORED


class Asked(NamedTuple):
    """Samples to be scored, and the labels of the answers that are wanted on them.

    Attributes:
        inputs: (sample, ...), as stored in the dataset.
        labels: (answer,), int64: one a sample, or one a chosen position.
        samples: The sample that each answer belongs to, (answer,), counted within the dataset's part and
            ascending: answers of one sample are not independent.
        places: The row of `inputs` and the position of each answer, (answer, 2); None where every sample has
            one answer.
    """

    inputs: Tensor
    labels: Tensor
    samples: Tensor
    places: Tensor | None = None

    def some(self, count: int) -> "Asked":
        """The first `count` answers of a fixed random order; all of them if there are fewer."""
        chosen = torch.from_numpy(permutation(len(self.labels))[:count])
        if self.places is None:
            return Asked(self.inputs[chosen], self.labels[chosen], self.samples[chosen])
        return self._at(chosen.sort().values)

    def _at(self, chosen: Tensor) -> "Asked":
        """The answers at chosen positions, with only the inputs that hold them."""
        assert self.places is not None
        held, rows = self.places[chosen, 0].unique(return_inverse=True)
        places = torch.stack([rows, self.places[chosen, 1]], 1)
        return Asked(self.inputs[held], self.labels[chosen], self.samples[chosen], places)


@dataclass(frozen=True)
class Parts:
    """A cell's share of a dataset, as tensors on the CPU.

    Attributes:
        inputs: Training samples, (sample, ...).
        labels: (sample,) or (sample, position), int64.
        fitted: Training samples on which the training loss is measured.
        validation: Held-out samples.
        test: Test samples.
    """

    inputs: Tensor
    labels: Tensor
    fitted: Asked
    validation: Asked
    test: Asked


def parts_of(cell: Cell, arrays: Arrays) -> Parts:
    """The samples and labels that a cell trains, validates and tests on.

    Validation is the last `validation_size` training samples, as in the papers' code; training is
    `train_size` of a fixed random order of the others: subset 0 the first, subset 1 the next. So subsets are
    disjoint, and the first of a smaller size nests in the first of a larger.

    Where every position is predicted, at most `cell.scored` positions of each part are scored: the first of a
    fixed random order of those that have a label.
    """
    kept = len(arrays.train_inputs) - cell.validation_size
    first = cell.subset * cell.train_size
    train = permutation(kept)[first : first + cell.train_size]
    inputs, labels = arrays.train_inputs[train], arrays.train_labels[train]
    return Parts(
        inputs=torch.from_numpy(inputs),
        labels=torch.from_numpy(labels),
        fitted=asked_of(inputs, labels, cell.scored),
        validation=asked_of(arrays.train_inputs[kept:], arrays.train_labels[kept:], cell.scored),
        test=asked_of(arrays.test_inputs, arrays.test_labels, cell.scored),
    )


def asked_of(inputs: NDArray[np.generic], labels: NDArray[np.int64], scored: int | None) -> Asked:
    """The answers of one part: one a sample, or `scored` of the positions with a label; None takes all.

    Example:
        >>> labels = np.array([[5, 6, -100], [7, -100, -100]])
        >>> asked_of(np.zeros((2, 3), np.int32), labels, scored=None).labels
        tensor([5, 6, 7])
    """
    every, numbers = torch.from_numpy(inputs), torch.from_numpy(labels)
    if labels.ndim == 1:
        return Asked(every, numbers, torch.arange(len(labels)))
    places = (numbers != IGNORED).nonzero()
    whole = Asked(every, numbers[tuple(places.T)], places[:, 0], places)
    return whole.some(len(places) if scored is None else scored)
