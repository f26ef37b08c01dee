"""Joint draws of how mean losses err, for splits of many settings; splits of one pool share its members."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..arrays import Array, covariance_root
from .comparison import SplitLosses
from .covariance import PoolNoise
from .joint import sample_covariance

DRAWS = 20_000  # the 2.5% beyond a quantile are then known to 0.1%


class Ensembles(NamedTuple):
    """The ensembles of one size out of one pool.

    Attributes:
        pool: Names it: two splits of one pool share members, and of one size they are the same ensembles.
        losses: Of that size; the pool has at least two members.
        noise: How the pool's sizes vary and covary.
    """

    pool: str
    losses: SplitLosses
    noise: PoolNoise

    @property
    def key(self) -> tuple[str, int]:
        return self.pool, self.losses.members


def drawn_errors(splits: Sequence[Ensembles], seed: int = 0, draws: int = DRAWS) -> Array:
    """Errors that the mean losses may have, over members and over test samples, (split, draw), nats.

    Errors over members are Student's, with the degrees of freedom that their variance is known with; those of
    different pools are independent. Errors over test samples are shared by all, so only differences between
    splits have a meaning.

    Args:
        splits: No two of one pool and size; all tested on the same samples.
        seed: Of the draws.
        draws: How many.
    """
    rng = np.random.default_rng(seed)
    errors = [one.losses.errors for one in splits if one.losses.errors is not None]
    assert len(errors) == len(splits)
    samples = sample_covariance(
        np.stack([one.losses.losses for one in splits]),
        np.array([one.interaction for one in errors]),
        splits[0].losses.clusters,
    )
    found: Array = covariance_root(samples) @ rng.standard_normal((len(splits), draws))
    for pool in dict.fromkeys(one.pool for one in splits):
        rows = [i for i, one in enumerate(splits) if one.pool == pool]
        deviations = np.array([errors[i].cnll.value for i in rows]) ** 0.5
        spread = deviations[:, None] * covariance_root(_correlation([splits[i] for i in rows]))
        freedom = min(errors[i].cnll.freedom for i in rows)
        student = np.sqrt(freedom / rng.chisquare(freedom, draws))
        found[rows] += spread @ rng.standard_normal((len(rows), draws)) * student
    return found


def _correlation(sizes: Sequence[Ensembles]) -> Array:
    """Of the errors over members of some sizes of one pool, (size, size)."""
    if len(sizes) == 1:
        return np.eye(1)
    covariance = sizes[0].noise.covariance([one.losses.members for one in sizes])
    own = np.sqrt(np.diag(covariance))
    both = np.outer(own, own)
    found: Array = np.divide(covariance, both, out=np.eye(len(sizes)), where=both > 0)
    return found
