"""How the mean losses of several splits err together, and how far apart the luckiest of equals lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from ..arrays import Array, Integers, covariance_root
from ..records import Interval
from .clusters import Clusters, covariance_of_means
from .standard_errors import LEVEL, Variance

DRAWS = 20_000  # the 5% beyond a quantile are then known to 0.15%
_CLEAR = 1.95  # Student statistics below this need a level below 95%, whatever their degrees of freedom


class ErrorParts(NamedTuple):
    """The variance of a difference, from members and from test samples, nats squared."""

    members: float
    samples: float


@dataclass(frozen=True)
class Joint:
    """Mean losses of splits that are tested on the same samples, each with members of its own.

    Members of two splits are taken for independent. Where they share starts, as two ways of training may, or
    are one pool, they vary alike, and differences are known better than is said here.

    Attributes:
        means: Mean losses, (split,), nats.
        members: Each mean's variance over members.
        samples: Covariance of the means over test samples, up to what all splits share, (split, split).
        count: How many test samples.
        seed: Of the draws.
    """

    means: Array
    members: Sequence[Variance]
    samples: Array
    count: int
    seed: int = 0

    def parts(self, i: int, j: int) -> ErrorParts:
        """What the variance of a difference comes from."""
        own = self.samples
        shared = max(float(own[i, i] + own[j, j] - 2 * own[i, j]), 0.0)
        return ErrorParts(self.members[i].value + self.members[j].value, shared)

    def error(self, i: int, j: int) -> Variance:
        """Of a difference, with the degrees of freedom of Welch and Satterthwaite."""
        samples = self.parts(i, j).samples
        variances = np.array([self.members[i].value, self.members[j].value, samples])
        freedoms = np.array([self.members[i].freedom, self.members[j].freedom, self.count - 1])
        return Variance(float(variances.sum()), float(welch(variances, freedoms)))

    def minus(self, i: int, j: int, level: float = LEVEL) -> Interval:
        """A difference with Student's interval at a level."""
        value, error = float(self.means[i] - self.means[j]), self.error(i, j)
        reach = float(stdtrit(error.freedom, (1 + level) / 2)) * error.value**0.5
        return Interval(value=value, low=value - reach, high=value + reach)

    def level_from(self, reference: int) -> float:
        """The level at which all differences from one split hold at once, with probability 95% (Dunnett).

        That of a single difference is 95%, and its interval Student's. Of several, the largest Student
        statistic decides, each on the scale of its own degrees of freedom.
        """
        others = [i for i in range(len(self.means)) if i != reference]
        if len(others) < 2:
            return LEVEL
        return self._level([self._levels(i, np.full(DRAWS, reference)) for i in others])

    @cached_property
    def level_from_best(self) -> float:
        """The level at which, with probability 95%, no split seems worse than the best of equals."""
        return self.level_from_lowest(range(len(self.means)))

    def level_from_lowest(self, some: Sequence[int]) -> float:
        """The level at which all differences from the lowest of some splits hold at once, were all equal.

        The best of equals is the luckiest: it is chosen anew in every draw.
        """
        if len(self.means) < 3:
            return LEVEL
        best = np.asarray(some)[self._noise[list(some)].argmin(0)]
        return self._level([self._levels(i, best) for i in range(len(self.means))])

    def lowest(self, some: Sequence[int]) -> Integers:
        """Which of some splits, counted from 0, has the lowest mean in each draw of the errors, (draw,)."""
        rows = np.asarray(some)
        found: Integers = (self.means[rows, None] + self._noise[rows]).argmin(0)
        return found

    def _level(self, levels: Sequence[Array]) -> float:
        return max(LEVEL, float(np.quantile(np.max(levels, axis=0), LEVEL)))

    def _levels(self, split: int, others: Integers) -> Array:
        """The level that Student's interval of a difference needs to hold the truth in each draw, (draw,).

        Levels below 95% are given as 0.
        """
        draw, own = np.arange(DRAWS), self.samples
        samples = np.maximum(own[split, split] + np.diag(own)[others] - 2 * own[split, others], 0)
        freedoms = np.array([one.freedom for one in self.members])
        variances = np.stack(
            [self._variances[split], self._variances[others, draw], samples * self._sample_factors]
        )
        freedom = welch(variances, np.stack([np.full(DRAWS, freedoms[split]), freedoms[others],
                                              np.full(DRAWS, self.count - 1.0)]))  # fmt: skip
        error = np.sqrt(variances.sum(0))
        away = np.abs(self._noise[split] - self._noise[others, draw])
        student = np.divide(away, error, out=np.zeros(DRAWS), where=error > 0)
        found, clear = np.zeros(DRAWS), student > _CLEAR
        found[clear] = 2 * stdtr(freedom[clear], student[clear]) - 1
        return found

    @cached_property
    def _noise(self) -> Array:
        """Errors of the means, (split, draw)."""
        rng = np.random.default_rng([self.seed, 0])
        spread = covariance_root(self.samples)
        own = np.sqrt([one.value for one in self.members])
        shape = len(self.means), DRAWS
        found: Array = own[:, None] * rng.standard_normal(shape) + spread @ rng.standard_normal(shape)
        return found

    @cached_property
    def _variances(self) -> Array:
        """The variances over members as other pools would show them, (split, draw)."""
        rng = np.random.default_rng([self.seed, 1])
        return np.stack([one.value * rng.chisquare(one.freedom, DRAWS) / one.freedom for one in self.members])

    @cached_property
    def _sample_factors(self) -> Array:
        """What other test samples would make of their variances, (draw,)."""
        freedom = self.count - 1
        rng = np.random.default_rng([self.seed, 2])
        return rng.chisquare(freedom, DRAWS) / freedom


def sample_covariance(losses: Array, interactions: Array, clusters: Clusters | None = None) -> Array:
    """Covariance over test samples of mean losses, up to what all share, without the noise of members.

    Losses of one sample scatter by their members too. A variance over members has this noise already, so it
    is taken off here, or it would count twice.

    Args:
        losses: Mean over each split's ensembles, (split, sample).
        interactions: The variance of each mean that stems from members by samples, (split,).
        clusters: Which of these are answers of one sample; None where each is of its own.

    Returns:
        (split, split), no eigenvalue below zero. Only differences of splits have a meaning.
    """
    differing = losses - losses.mean(0)
    project = np.eye(len(losses)) - 1 / len(losses)
    differing = differing - differing.mean(1, keepdims=True)
    found = covariance_of_means(differing, clusters) - project @ np.diag(interactions) @ project
    sizes, axes = np.linalg.eigh(found)
    covariance: Array = (axes * np.maximum(sizes, 0)) @ axes.T
    return covariance


def welch(variances: Array, freedoms: Array) -> Array:
    """Degrees of freedom of a sum of variances, (part, ...) to (...).

    Source: Satterthwaite 1946, Welch 1947.
    """
    total = variances.sum(0)
    found = np.divide(total**2, (variances**2 / freedoms).sum(0), out=np.ones_like(total), where=total > 0)
    return np.asarray(found)
