"""Handwritten digits, 8x8 grey, 1,797 images, shipped with scikit-learn: no download.

A fixed random order splits them into 1,000 images for training and validation and 797 for test.
Source: UCI Optical Recognition of Handwritten Digits, Alpaydin & Kaynak 1998.
"""

import numpy as np

from ..records import Task
from ._base import Arrays, Dataset
from ._order import permutation

TRAIN = 1000


def decode(place: str) -> Arrays:
    from sklearn.datasets import load_digits  # takes seconds, and a plan does not need the images

    images, labels = load_digits(return_X_y=True)
    # Grey levels 0 to 16 become 0 to 240, to fill the range of a byte.
    scaled = (15 * images.reshape(-1, 8, 8, 1)).astype(np.uint8)
    order = permutation(len(scaled))
    train, test = order[:TRAIN], order[TRAIN:]
    labels = labels.astype(np.int64)
    return Arrays(scaled[train], labels[train], scaled[test], labels[test], 10, tuple("0123456789"))


dataset = Dataset(decode, task=Task(10, 1, 8))
