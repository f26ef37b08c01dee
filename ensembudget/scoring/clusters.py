"""Standard errors where several answers share a sample, and so are not independent.

A sample is a test image with one answer, or a text of which several tokens are predicted. For answers x_i of
C samples with mean m, let s_c be the sum of x_i - m over the answers of sample c. The variance of m is then C
/ (C - 1) times the sum of s_c^2, over the squared number of answers: the linearised variance of a ratio under
cluster sampling (Cochran 1977, Sampling Techniques, chapter 9A).
"""

from typing import NamedTuple

import numpy as np

from ..arrays import Array, Integers
from ..errors import ScoreError
from .given import Numbers, tensor_of


class Clusters(NamedTuple):
    """Which answers share a sample.

    Attributes:
        of: The sample of each answer, (answer,), numbered from 0 in order of first appearance.
        number: The number of samples.
    """

    of: Integers
    number: int

    def sums(self, values: Array) -> Array:
        """Sums the answers of each sample: (row, answer) to (row, sample)."""
        return np.stack([np.bincount(self.of, weights=row, minlength=self.number) for row in values])


def clusters_of(samples: Numbers | None, answers: int) -> Clusters | None:
    """Groups answers by sample.

    Args:
        samples: The sample of each answer, (answer,), any integers; None if every answer has its own sample.
        answers: The number of answers.

    Returns:
        The clusters, or None if no two answers share a sample.

    Raises:
        ScoreError: `samples` is not one integer an answer, or all answers share one sample.

    Example:
        >>> clusters_of([7, 7, 3, 7], 4).of, clusters_of([7, 3], 2)
        (array([0, 0, 1, 0]), None)
    """
    if samples is None:
        return None
    given = tensor_of(samples, "samples").numpy()
    if given.shape != (answers,) or given.dtype.kind not in "iu":
        raise ScoreError(
            f"samples are {given.dtype} of shape {given.shape}; needed are integers, ({answers},): which"
            " sample each label is of."
        )
    known, first, inverse = np.unique(given, return_index=True, return_inverse=True)
    if len(known) == answers:
        return None
    if len(known) < 2:
        raise ScoreError(
            f"all {answers} answers are of one sample; at least 2 samples are needed, for temperatures are"
            " fitted on one half of them and scored on the other."
        )
    numbers = np.empty(len(known), np.int64)
    numbers[first.argsort()] = np.arange(len(known))
    return Clusters(numbers[inverse.reshape(-1)], len(known))


def equal_or_none(one: Integers | None, other: Integers | None) -> bool:
    """Whether two sets of answers have the same samples, (answer,): both are None, or they are equal."""
    return one is other if one is None or other is None else np.array_equal(one, other)


def count_of(answers: int, clusters: Clusters | None) -> int:
    """The number of samples."""
    return answers if clusters is None else clusters.number


def covariance_of_means(centred: Array, clusters: Clusters | None = None) -> Array:
    """The covariance, over the sampling of samples, of the means of several rows.

    Args:
        centred: Rows minus their means, (row, answer).
        clusters: Which answers share a sample; None if none do.

    Returns:
        (row, row).
    """
    answers = centred.shape[1]
    if clusters is None:
        found: Array = centred @ centred.T / (answers * (answers - 1))
        return found
    sums = clusters.sums(centred)
    found = sums @ sums.T * (clusters.number / (clusters.number - 1)) / answers**2
    return found


def variances_of_means(rows: Array, clusters: Clusters | None = None) -> Array:
    """The variance, over the sampling of samples, of each row's mean: (row, answer) to (row,)."""
    answers = rows.shape[1]
    if clusters is None:
        found: Array = rows.var(1, ddof=1) / answers
        return found
    sums = clusters.sums(rows - rows.mean(1, keepdims=True))
    found = (sums**2).sum(1) * (clusters.number / (clusters.number - 1)) / answers**2
    return found
