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


class PoolNoise(NamedTuple):
    """How the means of a pool's ensembles would differ in fresh members.

    Attributes:
        members: Of the pool.
        sizes: That were looked at, ascending, (size,).
        moments: Covariance between them that a single member brings, (size, size), nats squared; without an
            allowance for how well it is known.
        freedom: Its degrees of freedom; 0 where nothing shows it.
    """

    members: int
    sizes: Array
    moments: Array
    freedom: float

    def covariance(self, sizes: Sequence[int]) -> Array:
        """Of the means at any sizes, (size, size); what members bring is linear in ln n between sizes.

        Args:
            sizes: Of ensembles, none larger than the pool.
        """
        logs = np.log(self.sizes)
        between = np.stack([np.interp(np.log(sizes), logs, one) for one in np.eye(len(logs))], 1)
        found: Array = between @ self.moments @ between.T / _used(self.members, np.array(sizes))
        return found


def scored_pool(pool: Pool) -> ScoredPool:
    """A pool's ensembles of spaced sizes, scored; at least one member must not have diverged."""
    sizes = spaced(range(1, len(pool.logits) + 1))
    losses, temperatures = size_losses(pool.logits, pool.labels, sizes, samples=pool.samples)
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
    found = zip(pools, member_covariances(pools), strict=True)
    return [each / _used(max(len(one.influences), 1), np.array(list(one.cnll))) for one, each in found]


def member_covariances(pools: Sequence[ScoredPool]) -> list[Array]:
    """For every pool the covariance between its sizes that a single member brings, (size, size).

    A mean over ensembles has this divided by the number of their members. A normal distribution with this
    covariance has the variance of Student's t.
    """
    tails = _tails(float(sum(one.freedom for one in pools)))
    return [tails * each.moments for each in pool_noises(pools)]


def pool_noises(pools: Sequence[ScoredPool]) -> list[PoolNoise]:
    """For every pool how its sizes vary and covary, with degrees of freedom.

    Widths are shrunk to their mean, size by size: two members of one width say next to nothing about its
    spread.
    """
    own = [_moments(one) for one in pools]
    count = max((len(one.cnll) for one in pools), default=1)
    weight, total = np.zeros((count, count)), np.zeros((count, count))
    for one, moments in zip(pools, own, strict=True):
        size = len(moments)
        total[:size, :size] += one.freedom * moments
        weight[:size, :size] += one.freedom
    freedom = float(weight[0, 0])
    shared = _rescaled(total, np.sqrt(np.diag(total) / np.maximum(np.diag(weight), 1)))
    found = []
    for one, moments in zip(pools, own, strict=True):
        size = len(one.cnll)
        mean = (one.freedom * moments + SHRINKAGE * shared[:size, :size]) / (one.freedom + SHRINKAGE)
        members, sizes = max(len(one.influences), 1), np.array(list(one.cnll), float)
        found.append(PoolNoise(members, sizes, mean, min(one.freedom + SHRINKAGE, freedom)))
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


def _used(members: int, sizes: Array) -> Array:
    """For two sizes, how many members the one that uses more of them averages over, (size, size).

    Ensembles are taken from the first member on, so the members of the other size are among these, and the
    sum of products over the product of both counts is a mean product over this number.
    """
    used = members // sizes * sizes
    larger: Array = np.maximum(used[:, None], used[None, :]).astype(float)
    return larger
