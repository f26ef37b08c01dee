"""What training some members of a width is expected to be worth.

The value of a proposal is by how much it is expected to lower the loss of choosing a wrong split: for each
rival of the split that is best now, the expected amount by which the new members make the rival the better
one, summed over the rivals. Sources: linear loss, Chick & Inoue 2001; the knowledge gradient, Frazier et al.
2009.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from ..arrays import Array
from ..scoring.covariance import ScoredPool, member_covariances
from ..scoring.sizes import spaced
from .budgets import Candidate
from .plane import CORRELATION
from .posterior import DRAWS, Posterior

SLICE = 0.25  # of what is left to spend: widths are compared by what this buys of each


class TrainableWidth(NamedTuple):
    """A width that members can be trained of: what one costs, how many there are and may be."""

    width: int
    parameters: int
    flops: float
    trained: int
    most: int


class Proposal(NamedTuple):
    """So many members of a width, what they cost in operations, and their value in nats."""

    width: int
    number: int
    flops: float
    value: float


def affordable(one: TrainableWidth, left: float) -> int:
    """How many members of a width to propose: what a slice of what is left buys, or one; 0 where none can be.

    Args:
        one: The width.
        left: Operations that may still be spent.

    Example:
        >>> one = TrainableWidth(width=4, parameters=100, flops=10.0, trained=1, most=8)
        >>> [affordable(one, left) for left in (5, 15, 120, 10_000)]
        [0, 1, 3, 7]
    """
    rest = max(0, min(one.most - one.trained, int(left // one.flops)))
    return min(max(1, round(SLICE * left / one.flops)), rest)


def proposals(
    posterior: Posterior,
    pools: Sequence[ScoredPool],
    asked: Sequence[tuple[TrainableWidth, int]],
    candidates: Sequence[Candidate],
    *,
    draws: int = DRAWS,
) -> list[Proposal]:
    """What more members are worth.

    Args:
        posterior: The law of what is trained.
        pools: What is trained, one a width.
        asked: Widths, and how many more members of each; 0 for no proposal.
        candidates: The splits to choose from.
        draws: From the posterior.

    Returns:
        One for each width with members to train, in order.
    """
    covariances = dict(zip([pool.width for pool in pools], member_covariances(pools), strict=True))
    unknown = list(covariances.values())[-1][:1, :1]  # of widths without members
    open_ones = [(one, count, spaced(range(1, one.trained + count + 1))) for one, count in asked if count]
    places = [(float(one.members), float(one.parameters)) for one in candidates]
    places += [(float(size), float(one.parameters)) for one, _, sizes in open_ones for size in sizes]
    unique = list(dict.fromkeys(places))
    drawn = posterior.draws(*np.array(unique).T, count=draws)
    rows = dict(zip(unique, drawn, strict=True))
    chosen = np.stack([rows[place] for place in places[: len(candidates)]])
    found = []
    for one, count, sizes in open_ones:
        seen = np.stack([rows[float(size), float(one.parameters)] for size in sizes])
        noise = extended(covariances.get(one.width, unknown), len(sizes)) / count
        found.append(Proposal(one.width, count, one.flops * count, value_of(chosen, seen, noise)))
    return found


def extended(covariance: Array, sizes: int) -> Array:
    """A covariance of the first sizes; the last known one stands for those beyond it, (size, size)."""
    index = np.minimum(np.arange(sizes), len(covariance) - 1)
    scale = np.where(np.arange(sizes) < len(covariance), 1.0, CORRELATION)  # the rest of it is its own
    found: Array = covariance[np.ix_(index, index)] * np.outer(scale, scale)
    np.fill_diagonal(found, np.diag(covariance)[index])
    return found


def value_of(chosen: Array, seen: Array, noise: Array) -> float:
    """By how much a measurement is expected to lower the loss of the choice, nats; rivals are summed.

    Args:
        chosen: CNLL of the candidates, (candidate, draw).
        seen: CNLL of what would be measured, (place, draw).
        noise: Covariance of that measurement, (place, place).
    """
    count = chosen.shape[1]
    about, apart = (one - one.mean(1, keepdims=True) for one in (chosen, seen))
    shared = about @ apart.T / count
    moved = shared @ np.linalg.solve(apart @ apart.T / count + noise, shared.T)
    means = chosen.mean(1)
    best = int(means.argmin())
    rivals = np.arange(len(means)) != best
    variance = moved[best, best] + np.diag(moved) - 2 * moved[best]
    spread = np.sqrt(np.maximum(variance[rivals], 1e-300))
    behind = means[rivals] - means[best]
    density = np.exp(-0.5 * (behind / spread) ** 2) / np.sqrt(2 * np.pi)
    return float((spread * density - behind * ndtr(-behind / spread)).sum())
