"""Which member to train next, so that the best split of a budget is known for the least training.

The value of a member is by how much it is expected to lower the loss of choosing a wrong split, per
operation: for each rival of the split that is best now, the expected amount by which what is learned makes
the rival the better one, all rivals summed. Sources: linear loss, Chick & Inoue 2001; the knowledge
gradient, Frazier et al. 2009.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from ..laws._base import Array
from .law import Posterior, fit_plane
from .plane import CORRELATION, LEAST_WIDTHS, Members, checked, columns_of, each_member, spaced

START = 2  # members of a width before a law is tried
STEPS = (1, 2, 4)  # members that are weighed at one time
DRAWS = 1000


class Candidate(NamedTuple):
    """A split that may be chosen; parameters are of one member."""

    members: int
    width: int
    parameters: int


class Option(NamedTuple):
    """A width that members can be trained of: what one costs, how many there are, and may be."""

    width: int
    parameters: int
    flops: float
    trained: int
    most: int


class Decision(NamedTuple):
    """What is known now, and what to train next.

    Attributes:
        best: The split with the lowest expected CNLL; None before there is a law.
        confidence: That it is within the tolerance of the best.
        loss: Expected CNLL of the choice above the best's, nats per sample.
        width: Of what to train next; None to stop.
        number: How many members of it.
        reason: Why, in a sentence.
        posterior: The law, where there is one.
    """

    best: Candidate | None
    confidence: float
    loss: float
    width: int | None
    number: int
    reason: str
    posterior: Posterior | None = None


def decide(
    pools: Sequence[Members],
    options: Sequence[Option],
    candidates: Sequence[Candidate],
    *,
    left: float,
    tolerance: float,
    confidence: float,
) -> Decision:
    """The next members to train, or that it is time to stop.

    Args:
        pools: What is trained, a width each.
        options: What can be trained, those of `pools` among them.
        candidates: The splits of the budget.
        left: Operations that may still be spent.
        tolerance: A split this fraction above the lowest CNLL is as good as the best.
        confidence: With which one must be that good.
    """
    open_ones = [one for one in options if one.trained < one.most]
    first, why = _first(options, candidates, left)
    if why:
        return Decision(None, 0.0, np.inf, first, 1, why)
    posterior = fit_plane(checked(columns_of(pools), "the search"))
    found = _looks(posterior, pools, open_ones, candidates, left)
    means = found.candidates.mean(1)
    best, lowest = int(means.argmin()), found.candidates.min(0)
    sure = float((found.candidates[best] <= (1 + tolerance) * lowest).mean())
    loss = float((found.candidates[best] - lowest).mean())
    state = (candidates[best], sure, loss)
    if sure >= confidence:
        why = f"within {tolerance:.1%} of the best with probability {sure:.2f}"
        return Decision(*state, None, 0, why, posterior)
    if not found.looks:
        why = "every member of the plan is trained" if not open_ones else "the spend is gone"
        return Decision(*state, None, 0, why, posterior)
    look = max(found.looks, key=lambda one: min(one.value, loss) / one.flops)
    worth = min(look.value, loss)
    reason = (
        f"expected to lower the loss of a wrong choice, {loss:.2g} nats, by {worth:.2g}: most per operation"
    )
    return Decision(*state, look.width, look.number, reason, posterior)


def _first(options: Sequence[Option], candidates: Sequence[Candidate], left: float) -> tuple[int | None, str]:
    """The width to begin with and why; "" where what is there can carry a law.

    A law comes from the cheapest widths. The wide network is what splits are compared with, and the farthest
    from them: on real planes errors one width beyond the last are at times twice what was expected, so it is
    trained once where the spend allows it.
    """
    for one in sorted(options, key=lambda one: one.flops)[:LEAST_WIDTHS]:
        if one.trained < min(START, one.most):
            if one.flops > left:
                return None, "the spend is gone before there is a law"
            return one.width, f"a law needs {LEAST_WIDTHS} widths, of each {START} members"
    wide = next(one for one in options if one.width == max(c.width for c in candidates))
    if not wide.trained and wide.flops <= left:
        return wide.width, "the wide network is what splits are compared with"
    return None, ""


class _Look(NamedTuple):
    width: int
    number: int
    flops: float
    value: float


class _Looks(NamedTuple):
    candidates: Array  # CNLL, (candidate, draw)
    looks: list[_Look]


def _looks(
    posterior: Posterior,
    pools: Sequence[Members],
    options: Sequence[Option],
    candidates: Sequence[Candidate],
    left: float,
) -> _Looks:
    """The candidates' CNLL in draws, and what every affordable look is worth."""
    each = _each(pools)
    asked = [
        (one, count, spaced(range(1, one.trained + count + 1)))
        for one in options
        for count in STEPS
        if one.trained + count <= one.most and one.flops * count <= left
    ]
    places = [(float(one.members), float(one.parameters)) for one in candidates]
    places += [(float(size), float(one.parameters)) for one, _, sizes in asked for size in sizes]
    unique = list(dict.fromkeys(places))
    drawn = posterior.draws(*np.array(unique).T, count=DRAWS)
    rows = dict(zip(unique, drawn, strict=True))
    chosen = np.stack([rows[place] for place in places[: len(candidates)]])
    looks = []
    for one, count, sizes in asked:
        seen = np.stack([rows[float(size), float(one.parameters)] for size in sizes])
        noise = _extended(each.get(one.width, each[0]), len(sizes)) / count
        looks.append(_Look(one.width, count, one.flops * count, _value(chosen, seen, noise)))
    return _Looks(chosen, looks)


def _each(pools: Sequence[Members]) -> dict[int, Array]:
    """A member's covariance by width; at 0 that of widths without members."""
    found = each_member(pools)
    widths = [one.pool.planned.cell.width for one in pools]
    return {0: found[-1][:1, :1], **dict(zip(widths, found, strict=True))}


def _extended(each: Array, sizes: int) -> Array:
    """A covariance of the first sizes, the last one standing for those beyond it."""
    index = np.minimum(np.arange(sizes), len(each) - 1)
    found: Array = each[np.ix_(index, index)].copy()
    beyond = index[:, None] == index
    np.fill_diagonal(beyond, val=False)
    found[beyond] *= CORRELATION
    return found


def _value(chosen: Array, seen: Array, noise: Array) -> float:
    """How much what is seen is expected to lower the loss of the choice, nats; rivals are added up.

    Args:
        chosen: CNLL of the candidates, (candidate, draw).
        seen: Of what would be measured, (place, draw).
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
