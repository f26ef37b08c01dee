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

from ..arrays import Array
from .law import Posterior, fit_plane
from .plane import CORRELATION, LEAST_WIDTHS, Members, checked, columns_of, each_member, spaced

START = 2  # members of a width before a law is tried
SLICE = 0.25  # of what is left to spend: widths are weighed by what this buys of each
DRAWS = 1000
GONE = "the spend is gone before there is a law"


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
        return Decision(None, 0.0, np.inf, first, 0 if first is None else 1, why)
    posterior = fit_plane(checked(columns_of(pools), "the search"))
    chosen = posterior.draws(*np.array([(c.members, c.parameters) for c in candidates], float).T)
    best, lowest = int(chosen.mean(1).argmin()), chosen.min(0)
    sure = float((chosen[best] <= (1 + tolerance) * lowest).mean())
    loss = float((chosen[best] - lowest).mean())
    state = (candidates[best], sure, loss)
    if sure >= confidence:
        why = f"within {tolerance:.1%} of the best with probability {sure:.2f}"
        return Decision(*state, None, 0, why, posterior)
    looks = _looks(posterior, pools, open_ones, candidates, left)
    if not looks:
        why = "every member of the plan is trained" if not open_ones else "the spend is gone"
        return Decision(*state, None, 0, why, posterior)
    # Not by the value of one member over its cost: a first cheap one always wins, and the next says little.
    look = max(looks, key=lambda one: min(one.value, loss) / max(SLICE * left, one.flops))
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
    usable = sorted((one for one in options if one.most >= START), key=lambda one: one.flops)
    if len(usable) < LEAST_WIDTHS:
        return None, f"a law needs {LEAST_WIDTHS} widths with {START} members that do not diverge"
    lacking = [one for one in usable if one.trained < START]
    if len(usable) - len(lacking) < LEAST_WIDTHS:
        if lacking[0].flops > left:
            return None, GONE
        return lacking[0].width, f"a law needs {LEAST_WIDTHS} widths, of each {START} members"
    wide = next(one for one in options if one.width == max(c.width for c in candidates))
    if wide.trained or not wide.most or wide.flops > left:
        return None, ""
    return wide.width, "the wide network is what splits are compared with"


class _Look(NamedTuple):
    width: int
    number: int
    flops: float
    value: float


def _looks(
    posterior: Posterior,
    pools: Sequence[Members],
    options: Sequence[Option],
    candidates: Sequence[Candidate],
    left: float,
) -> list[_Look]:
    """What every affordable look is worth."""
    each = _each(pools)
    counts = [(one, _count(one, left)) for one in options]
    asked = [(one, count, spaced(range(1, one.trained + count + 1))) for one, count in counts if count]
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
    return looks


def _count(one: Option, left: float) -> int:
    """How many members of a width are weighed at one time: what a slice of what is left buys, or one."""
    rest = max(0, min(one.most - one.trained, int(left // one.flops)))
    return min(max(1, round(SLICE * left / one.flops)), rest)


def _each(pools: Sequence[Members]) -> dict[int, Array]:
    """A member's covariance by width; at 0 that of widths without members."""
    found = each_member(pools)
    widths = [one.pool.planned.cell.width for one in pools]
    return {0: found[-1][:1, :1], **dict(zip(widths, found, strict=True))}


def _extended(each: Array, sizes: int) -> Array:
    """A covariance of the first sizes, the last one standing for those beyond it."""
    index = np.minimum(np.arange(sizes), len(each) - 1)
    scale = np.where(np.arange(sizes) < len(each), 1.0, CORRELATION)  # the rest of it is its own
    found: Array = each[np.ix_(index, index)] * np.outer(scale, scale)
    np.fill_diagonal(found, np.diag(each)[index])
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
