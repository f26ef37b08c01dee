"""How the CNLL of a pool's ensembles varies over members: sizes of one pool share members, and covary."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from ..arrays import Array
from .ensembles import size_losses
from .pools import Pool
from .regrouping import Influences, member_influences
from .sizes import spaced

# A few members show their own spread badly: it is averaged with that of all widths, which counts as so many.
SHRINKAGE = 4
LEAST_FREEDOM = 3.0  # degrees of freedom of a variance: with two or fewer, Student's t has no variance


class ScoredPool(NamedTuple):
    """A pool's ensembles of spaced sizes, scored.

    Attributes:
        width: The family's width factor.
        parameters: Of one member.
        cnll: Mean over disjoint ensembles by size, nats per sample.
        influences: How much each member moves each mean, (member, size), nats; empty for a lone member.
        partners: What ensembles of each size vary by beyond their members, see `Influences`; () for none.
    """

    width: int
    parameters: int
    cnll: dict[int, float]
    influences: Array
    partners: Sequence[float] = ()

    @property
    def freedom(self) -> int:
        """Degrees of freedom that the spread of its members has."""
        return max(len(self.influences) - 1, 0)


class Moments(NamedTuple):
    """A covariance, and its degrees of freedom; 0 where nothing shows it.

    Attributes:
        covariance: Between the sizes of a pool, (size, size), nats squared.
        freedom: Of every number in it.
    """

    covariance: Array
    freedom: float


def scored_pool(pool: Pool) -> ScoredPool:
    """A pool's ensembles of spaced sizes, scored; at least one member must not have diverged."""
    losses, temperatures = size_losses(pool.logits, pool.labels, spaced(range(1, len(pool.logits) + 1)))
    return _scored(pool, losses, temperatures)


def spaced_scores(pool: Pool) -> ScoredPool:
    """`scored_pool` from the scores that a pool has; its CNLL differs in rounding alone."""
    assert pool.scores is not None
    losses = {size: pool.scores.losses[size] for size in spaced(pool.scores.losses)}
    return _scored(pool, losses, pool.scores.temperatures)


def _scored(pool: Pool, losses: Mapping[int, Tensor], temperatures: Mapping[int, float]) -> ScoredPool:
    found = Influences(np.empty((0, 1)), np.zeros(1))
    if len(pool.logits) > 1:
        found = member_influences(pool.logits, pool.labels, losses, temperatures)
    return ScoredPool(
        width=pool.planned.cell.width,
        parameters=pool.trained[0].member.parameters,
        cnll={size: float(each.mean()) for size, each in losses.items()},
        influences=found.members,
        partners=found.partners.tolist(),
    )


def mean_covariances(pools: Sequence[ScoredPool]) -> list[Array]:
    """For every pool the covariance of its means that fresh members would show, (size, size)."""
    return [each / used(one) for one, each in zip(pools, member_covariances(pools), strict=True)]


def member_covariances(pools: Sequence[ScoredPool]) -> list[Array]:
    """For every pool the covariance between its sizes that a single member brings, (size, size).

    A mean over ensembles has this divided by the number of their members. A normal distribution with this
    covariance has the variance of Student's t.
    """
    tails = _tails(float(sum(one.freedom for one in pools)))
    return [tails * each.covariance for each in member_moments(pools)]


def member_moments(pools: Sequence[ScoredPool]) -> list[Moments]:
    """`member_covariances` without the allowance for Student's t, and the degrees of freedom instead.

    Widths are shrunk to their mean, size by size: two members of one width say next to nothing about its
    spread.
    """
    own = [_moments(one) for one in pools]
    count = max(len(one.cnll) for one in pools)
    weight, total = np.zeros((count, count)), np.zeros((count, count))
    for one, moments in zip(pools, own, strict=True):
        size = len(moments)
        total[:size, :size] += one.freedom * moments
        weight[:size, :size] += one.freedom
    freedom = weight[0, 0]
    if not freedom:
        return [Moments(np.zeros((len(one.cnll), len(one.cnll))), 0.0) for one in pools]
    shared = _rescaled(total, np.sqrt(np.diag(total) / np.maximum(np.diag(weight), 1)))
    found = []
    for one, moments in zip(pools, own, strict=True):
        size = len(one.cnll)
        mean = (one.freedom * moments + SHRINKAGE * shared[:size, :size]) / (one.freedom + SHRINKAGE)
        found.append(Moments(mean, float(min(one.freedom + SHRINKAGE, freedom))))
    return found


def _tails(freedom: float) -> float:
    """The variance of Student's t: the factor by which a variance from few members must grow."""
    return float(freedom / (freedom - 2)) if freedom > LEAST_FREEDOM else LEAST_FREEDOM / (LEAST_FREEDOM - 2)


def _rescaled(covariance: Array, deviations: Array) -> Array:
    """The correlations of one matrix with other standard deviations: a covariance again."""
    own = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    found: Array = covariance * np.outer(deviations / own, deviations / own)
    return found


def _moments(one: ScoredPool) -> Array:
    """Mean products of influences over the members, and what partners add, (size, size)."""
    if not len(one.influences):
        return np.zeros((1, 1))
    moments: Array = one.influences.T @ one.influences / len(one.influences)
    return moments + np.diag(one.partners) if len(one.partners) else moments


def used(one: ScoredPool) -> Array:
    """For two sizes, how many members the one that uses more of them averages over, (size, size).

    Ensembles are taken from the first member on, so the members of the other size are among these, and the
    sum of products over the product of both counts is a mean product over this number.
    """
    total, sizes = max(len(one.influences), 1), np.array(list(one.cnll))
    members = total // sizes * sizes
    larger: Array = np.maximum(members[:, None], members[None, :]).astype(float)
    return larger
