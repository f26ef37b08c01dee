"""A cell's share of a dataset."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..datasets._base import Arrays
from ..datasets._order import permutation
from ..records import Cell


@dataclass(frozen=True)
class Parts:
    """A cell's share of a dataset, as tensors: images (sample, row, column, channel) uint8."""

    images: Tensor
    labels: Tensor
    validation_images: Tensor
    validation_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


def parts_of(cell: Cell, arrays: Arrays) -> Parts:
    """The images and labels that a cell trains, validates and tests on.

    Validation is the last `validation_size` training images, as in the papers' code; training is
    `train_size` of a fixed random order of the others: subset 0 the first, subset 1 the next. So subsets are
    disjoint, and the first of a smaller size nests in the first of a larger.
    """
    kept = len(arrays.train_images) - cell.validation_size
    first = cell.subset * cell.train_size
    train = permutation(kept)[first : first + cell.train_size]
    return Parts(
        *map(torch.from_numpy, (arrays.train_images[train], arrays.train_labels[train])),
        *map(torch.from_numpy, (arrays.train_images[kept:], arrays.train_labels[kept:])),
        *map(torch.from_numpy, (arrays.test_images, arrays.test_labels)),
    )
