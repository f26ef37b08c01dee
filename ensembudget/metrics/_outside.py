"""AUROC of an ensemble's uncertainty as a detector of out-of-scope samples, those that belong to no class.

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
MANY_GROUPS = 8  # from this number on, the spread of the groups gives the error; below, a jackknife

Counts = NDArray[np.int64]


class Detection(NamedTuple):
    """AUROC by one uncertainty, for ensembles of one size.

    Attributes:
        size: Members of an ensemble.
        uncertainty: One of `UNCERTAINTIES`.
        value: The mean AUROC over disjoint groups of members.
        members: The standard error of `value` over members; None where a pool of one shows no spread.
        freedom: The degrees of freedom of `members`.
        queries: The standard error of `value` over samples.
    """

    size: int
    uncertainty: str
    value: float
    members: float | None
    freedom: float | None
    queries: float


def uncertainties(probabilities: Array) -> dict[str, Array]:
    """How uncertain one ensemble is of each sample.

    Args:
        probabilities: (member, sample, class).

    Returns:
        For each name in `UNCERTAINTIES`, (sample,): 1 minus the largest mean probability, the entropy of the
        mean probabilities, and their mutual information, which is this entropy minus the members' mean
        entropy. Entropies are in nats. One member has no mutual information.

    Example:
        Two certain members that disagree: all of the entropy is their disagreement.

        >>> found = uncertainties(np.array([[[1.0, 0.0]], [[0.0, 1.0]]]))
        >>> [round(float(one[0]), 3) for one in found.values()]
        [0.5, 0.693, 0.693]
    """
    return _uncertainties(probabilities.mean(0), entr(probabilities).sum(-1))


def _uncertainties(mean: Array, entropies: Array) -> dict[str, Array]:
    """Uncertainties from mean probabilities, (sample, class), and members' entropies, (member, sample)."""
    entropy = entr(mean).sum(-1)
    found = {"max_probability": 1 - mean.max(-1), "entropy": entropy}
    return found | ({"mutual_information": entropy - entropies.mean(0)} if len(entropies) > 1 else {})


def auroc(
    inside: Array, outside: Array, inside_counts: Counts | None = None, outside_counts: Counts | None = None
) -> Array:
    """The area under the ROC curve of scores that should be higher for out-of-scope samples.

    It is the share of pairs, one in-scope and one out-of-scope sample, in which the latter scores higher.
    Ties count half.

    Args:
        inside: Scores of in-scope samples, (inside,).
        outside: Scores of out-of-scope samples, (outside,).
        inside_counts: How often each in-scope sample is in each bootstrap draw, (draw, inside); None for one
            draw with each sample once.
        outside_counts: The same for out-of-scope samples, (draw, outside).

    Returns:
        (draw,), from 0 to 1.

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
    """AUROC at every ensemble size and by every uncertainty, as the mean over disjoint groups of a pool.

    The error over members is the spread of the groups where these are single members or 8 and more, and else
    a jackknife over the members of each group. The error over samples is the spread over bootstrap draws, the
    same draws for all groups.

    Args:
        inside: Members' probabilities on in-scope samples, (member, inside, class).
        outside: Members' probabilities on out-of-scope samples, (member, outside, class).
        counts: How often each sample is in each draw, (draw, inside) and (draw, outside).

    Yields:
        Detections in order of size.
    """
    both, split = np.concatenate([inside, outside], 1), inside.shape[1]
    entropies = entr(both).sum(-1)

    def scores(members: list[int]) -> dict[str, tuple[Array, Array]]:
        found = _uncertainties(both[members].mean(0), entropies[members])
        return {name: (each[:split], each[split:]) for name, each in found.items()}

    for size in range(1, len(both) + 1):
        groups = [list(range(first, first + size)) for first in range(0, len(both) - size + 1, size)]
        whole = [scores(group) for group in groups]
        jackknife = 1 < size and len(groups) < MANY_GROUPS
        lacking = [[scores([m for m in group if m != one]) for one in group] for group in groups if jackknife]
        for name in whole[0]:
            values = np.array([auroc(*each[name])[0] for each in whole])
            left = [[auroc(*each[name])[0] for each in some if name in each] for some in lacking]
            drawn = np.mean([auroc(*each[name], *counts) for each in whole], axis=0)
            yield Detection(
                size, name, float(values.mean()), *_over_members(values, left), float(drawn.std(ddof=1))
            )


def _over_members(values: Array, left: list[list[float]]) -> tuple[float | None, float | None]:
    """The standard error over members of a mean over groups, and its degrees of freedom.

    Args:
        values: AUROC of each group, (group,).
        left: For each group, its AUROC without each of its members in turn; empty without a jackknife.
    """
    count = len(values)
    if left and left[0]:
        size = len(left[0])
        variance = (size - 1) * np.var(left, axis=1).sum() / count**2
        return float(variance**0.5), float(count * (size - 1))
    if count == 1:
        return None, None
    return float(values.std(ddof=1) / count**0.5), float(count - 1)
