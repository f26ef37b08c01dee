"""Noisy stripes in four directions: 600 training and 400 test images, 8x8 grey, made on the spot."""

import numpy as np

from ensembudget.datasets._base import Arrays, Dataset
from ensembudget.records import Task

CLASSES, SIZE, TRAIN, IMAGES = 4, 8, 600, 1000


def decode(place: str) -> Arrays:
    rng = np.random.default_rng(0)
    labels = rng.integers(CLASSES, size=IMAGES)
    angles, phases = np.pi * labels / CLASSES, rng.uniform(0, 2 * np.pi, IMAGES)
    row, column = np.indices((SIZE, SIZE))
    along = np.multiply.outer(np.cos(angles), row) + np.multiply.outer(np.sin(angles), column)
    waves = np.sin(1.5 * along + phases[:, None, None]) + rng.normal(0, 1, along.shape)
    images = np.clip(128 + 50 * waves, 0, 255).astype(np.uint8)[..., None]
    return Arrays(images[:TRAIN], labels[:TRAIN], images[TRAIN:], labels[TRAIN:], CLASSES)


dataset = Dataset(decode, task=Task(CLASSES, 1, SIZE))
