"""Test samples that are training samples too: what is measured on them looks too good."""

import hashlib

import numpy as np

from ..catalog import TASKS
from ._base import Arrays, Images, Inputs


def shared_inputs(arrays: Arrays) -> int:
    """How many test samples are, pixel for pixel or token for token, among the training samples.

    Example:
        >>> train, labels = np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8, 1), np.arange(4) % 2
        >>> shared_inputs(Arrays(train, labels, train[1:3], labels[1:3], 2))
        2
    """
    mark = _of_tokens if arrays.task else fingerprint
    trained = set(map(mark, arrays.train_inputs))
    return sum(mark(one) in trained for one in arrays.test_inputs)


def shared_note(arrays: Arrays) -> list[str]:
    """A sentence on them for readers of results; none if there are none."""
    count, tests = shared_inputs(arrays), len(arrays.test_inputs)
    if not count:
        return []
    samples = TASKS[arrays.task.kind if arrays.task else "images"].samples
    alike = "token for token" if arrays.task else "pixel for pixel"
    return [
        f"SHARED {samples.upper()}: {count:,} of {tests:,} test {samples} are, {alike}, training {samples}"
        " too: what is measured on them looks too good."
    ]


def fingerprint(pixels: Images) -> bytes:
    """Equal for equal pixels of one image, (row, column, channel), and for grey ones stored as colours."""
    if pixels.shape[-1] == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., :1]
    return hashlib.sha256(str(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).digest()


def _of_tokens(tokens: Inputs) -> bytes:
    return tokens.tobytes()
