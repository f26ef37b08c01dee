"""Test images that are training images too: what is measured on them looks too good."""

import hashlib

import numpy as np

from ._base import Arrays, Images


def shared_images(arrays: Arrays) -> int:
    """How many test images are, pixel for pixel, among the training images.

    Example:
        >>> train, labels = np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8, 1), np.arange(4) % 2
        >>> shared_images(Arrays(train, labels, train[1:3], labels[1:3], 2))
        2
    """
    trained = set(_prints(arrays.train_images))
    return sum(one in trained for one in _prints(arrays.test_images))


def shared_note(arrays: Arrays) -> list[str]:
    """A sentence on them for whoever reads results; none where there are none."""
    count, tests = shared_images(arrays), len(arrays.test_images)
    if not count:
        return []
    return [
        f"SHARED IMAGES: {count:,} of {tests:,} test images are, pixel for pixel, training images too: what"
        " is measured on them looks too good."
    ]


def _prints(images: Images) -> list[bytes]:
    return [hashlib.blake2b(np.ascontiguousarray(one).data, digest_size=16).digest() for one in images]
