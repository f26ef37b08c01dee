"""The share of one quantity that is gone in another, with Fieller's interval from draws."""

from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..records import Interval
from .turning import turned

FURTHEST = 100.0  # shares are looked for up to this far from the estimate
_ROUNDS = 40  # of halving


class Paired(NamedTuple):
    """Two estimates, and both with errors added once more in draws that they share.

    Attributes:
        before: The first, say an advantage untuned.
        after: The second, say the same tuned.
        drawn_before: (draw,).
        drawn_after: (draw,).
    """

    before: float
    after: float
    drawn_before: Array
    drawn_after: Array


def difference(pair: Paired) -> Interval:
    """`after` minus `before` with a 95% interval."""
    return _left(pair, 1.0)


def share_gone(pair: Paired) -> Interval | None:
    """1 - after / before with a 95% interval; None where `before` cannot be told from zero.

    The interval has the shares s at which zero lies in the interval of after - (1 - s) before (Fieller
    1954). Where these go on without an end, there is none.

    Example:
        >>> noise = 0.01 * np.random.default_rng(0).standard_normal((2, 1000))
        >>> round(share_gone(Paired(-0.1, -0.04, -0.1 + noise[0], -0.04 + noise[1])).value, 3)
        0.6
    """
    if pair.before == 0:
        return None
    ratio = pair.after / pair.before
    ends = [_end(pair, ratio, direction) for direction in (1.0, -1.0)]
    if None in ends:
        return None
    low, high = (1 - end for end in ends if end is not None)
    return Interval(value=1 - ratio, low=low, high=high)


def _left(pair: Paired, ratio: float) -> Interval:
    """`after` minus so much of `before`."""
    value = pair.after - ratio * pair.before
    low, high = turned(np.array(value), pair.drawn_after - ratio * pair.drawn_before)
    return Interval(value=value, low=float(low), high=float(high))


def _holds_zero(pair: Paired, ratio: float) -> bool:
    found = _left(pair, ratio)
    assert found.low is not None
    assert found.high is not None
    return found.low <= 0 <= found.high


def _end(pair: Paired, ratio: float, direction: float) -> float | None:
    """The last ratio in one direction that zero is in the interval at; None where there is none."""
    inside, step = 0.0, 1e-3
    while _holds_zero(pair, ratio + direction * step):
        inside, step = step, 2 * step
        if step > FURTHEST:
            return None
    for _ in range(_ROUNDS):
        middle = (inside + step) / 2
        if _holds_zero(pair, ratio + direction * middle):
            inside = middle
        else:
            step = middle
    return ratio + direction * inside
