"""How well an ensemble's uncertainty tells samples of its classes from samples of none.

Source: Hendrycks & Gimpel 2017, arXiv:1610.02136 (maximum probability, AUROC); mutual information as in
Smith & Gal 2018, arXiv:1803.08533.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from ..arrays import Array

UNCERTAINTIES = ("max_probability", "entropy", "mutual_information")
MANY_GROUPS = 8  # from here on the groups themselves show how their scores spread

Counts = NDArray[np.int64]


class Detection(NamedTuple):
    """AUROC by one uncertainty, of the ensembles of one size.

    Attributes:
        size: Members of one.
        uncertainty: One of `UNCERTAINTIES`.
        value: The mean over disjoint groups.
        members: Its standard error over members; None where they show no spread.
        freedom: The degrees of freedom which that is known with.
        queries: Its standard error over samples.
    """

    size: int
    uncertainty: str
    value: float
    members: float | None
    freedom: float | None
    queries: float


def uncertainties(probabilities: Array) -> dict[str, Array]:
    """How uncertain one ensemble is of each sample; more is less certain.

    Args:
        probabilities: (member, sample, class).

    Returns:
        (sample,) each: 1 minus the maximum probability of the members' mean, the entropy of the mean in
        nats, and of several members the mutual information, which is that minus the members' mean entropy.

    Example:
        Two certain members that disagree: all of the entropy is their disagreement.

        >>> found = uncertainties(np.array([[[1.0, 0.0]], [[0.0, 1.0]]]))
        >>> [round(float(one[0]), 3) for one in found.values()]
        [0.5, 0.693, 0.693]
    """
    return _uncertainties(probabilities.mean(0), entr(probabilities).sum(-1))


def _uncertainties(mean: Array, entropies: Array) -> dict[str, Array]:
    """By the mean probabilities (sample, class) and the members' entropies (member, sample)."""
    entropy = entr(mean).sum(-1)
    found = {"max_probability": 1 - mean.max(-1), "entropy": entropy}
    return found | ({"mutual_information": entropy - entropies.mean(0)} if len(entropies) > 1 else {})


def auroc(
    inside: Array, outside: Array, inside_counts: Counts | None = None, outside_counts: Counts | None = None
) -> Array:
    """The share of pairs of a sample of none and a sample of some class in which the former scores higher.

    Ties count half.

    Args:
        inside: Scores of samples of some class, (inside,).
        outside: Scores of samples of none, (outside,).
        inside_counts: How often each is there, (draw, inside); None for once.
        outside_counts: Likewise, (draw, outside).

    Returns:
        (draw,).

    Example:
        >>> auroc(np.array([0.1, 0.2, 0.3]), np.array([0.3, 0.4]))
        array([0.91666667])
    """
    if inside_counts is None or outside_counts is None:
        inside_counts, outside_counts = np.ones((1, len(inside)), int), np.ones((1, len(outside)), int)
    order = inside.argsort(kind="stable")
    below, upto = (inside[order].searchsorted(outside, side) for side in ("left", "right"))
    sums = np.pad(inside_counts[:, order].cumsum(1), ((0, 0), (1, 0)))
    pairs = ((sums[:, below] + sums[:, upto]) * outside_counts).sum(1) / 2
    found: Array = pairs / (inside_counts.sum(1) * outside_counts.sum(1))
    return found


def detections(inside: Array, outside: Array, counts: tuple[Counts, Counts]) -> Iterator[Detection]:
    """AUROC of every ensemble size by every uncertainty, over all disjoint groups of a pool.

    The error over members is the spread of single members or of many groups; of fewer groups it is their
    members' jackknife. That over samples is the spread over bootstrap draws, shared by all groups.

    Args:
        inside: Members' probabilities of samples of some class, (member, inside, class).
        outside: Of samples of none, (member, outside, class).
        counts: How often each sample is in each draw, (draw, inside) and (draw, outside).
    """
    both, split = np.concatenate([inside, outside], 1), inside.shape[1]
    entropies = entr(both).sum(-1)

    def scores(members: list[int]) -> dict[str, tuple[Array, Array]]:
        found = _uncertainties(both[members].mean(0), entropies[members])
        return {name: (each[:split], each[split:]) for name, each in found.items()}

    for size in range(1, len(both) + 1):
        groups = [list(range(first, first + size)) for first in range(0, len(both) - size + 1, size)]
        whole = [scores(group) for group in groups]
        # Where there are many groups, or single members, nobody asks.
        asks = 1 < size and len(groups) < MANY_GROUPS
        lacking = [[scores([m for m in group if m != one]) for one in group] for group in groups if asks]
        for name in whole[0]:
            values = np.array([auroc(*each[name])[0] for each in whole])
            left = [[auroc(*each[name])[0] for each in some if name in each] for some in lacking]
            drawn = np.mean([auroc(*each[name], *counts) for each in whole], axis=0)
            yield Detection(
                size, name, float(values.mean()), *_over_members(values, left), float(drawn.std(ddof=1))
            )


def _over_members(values: Array, left: list[list[float]]) -> tuple[float | None, float | None]:
    """The standard error of a mean over groups, and its degrees of freedom.

    Args:
        values: One a group.
        left: For each group the values without one of its members each; empty where nobody asked.
    """
    count = len(values)
    if left and left[0]:
        size = len(left[0])
        variance = (size - 1) * np.var(left, axis=1).sum() / count**2
        return float(variance**0.5), float(count * (size - 1))
    if count == 1:
        return None, None
    return float(values.std(ddof=1) / count**0.5), float(count - 1)
