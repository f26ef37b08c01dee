"""Where a line through measured points changes sign, with an interval within the measured range."""

from collections.abc import Iterator
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from .turning import turned, turned_band

STEPS = 16  # places looked at between two measured points


class Side(StrEnum):
    """On which side of zero a stretch of the line lies."""

    BELOW = "below zero"
    ABOVE = "above zero"
    OPEN = "not decided"


class SignChange(NamedTuple):
    """A place where the line changes sign, or may.

    Attributes:
        before: The side before it; `OPEN` where no point there is decided.
        after: The side after it, likewise.
        place: Where the line through the points is zero; None where it is nowhere.
        low: The lower end of its interval; None where that is beyond the first point.
        high: The upper end; None where that is beyond the last point.
    """

    before: Side
    after: Side
    place: float | None
    low: float | None
    high: float | None


class Line(NamedTuple):
    """What is known of the signs of a line.

    Attributes:
        changes: By ascending place. Where no side of the line is decided, or one all along, a single one with
            this side before and after it.
        never: Share of the draws whose line has no zero in the measured range.
    """

    changes: tuple[SignChange, ...]
    never: float


class _Drawn(NamedTuple):
    """A line at every place looked at, and the interval of each of its heights, (place,)."""

    logs: Array
    heights: Array
    low: Array
    high: Array


def sign_changes(at: Array, values: Array, drawn: Array) -> Line:
    """Where a line changes sign that joins points at logarithmic places.

    Sides are decided at the points, all at once: with probability 95% none is wrong. Between points of two
    sides the interval of the change has the places at which the interval of the line's height holds zero:
    if the truth is such a line, that is a 95% interval (Fieller 1954). Where one side is not decided, it is
    that of a change from or to the other side, if there is one.

    Args:
        at: Places, positive and ascending, (point,), at least two.
        values: The line's heights there, (point,).
        drawn: These with errors added once more, (point, draw).

    Example:
        >>> noise = 0.01 * np.random.default_rng(0).standard_normal((2, 1000))
        >>> heights = np.array([-0.1, 0.1])
        >>> line = sign_changes(np.array([100.0, 400.0]), heights, heights[:, None] + noise)
        >>> round(line.changes[0].place), line.changes[0].before, line.never
        (200, <Side.BELOW: 'below zero'>, 0.0)
    """
    between = _between(np.log(at))
    heights = between @ values
    line = _Drawn(between @ np.log(at), heights, *turned(heights, between @ drawn))
    sides = [_side(*ends) for ends in zip(*turned_band(values, drawn), strict=True)]
    never = float(((drawn > 0).all(0) | (drawn < 0).all(0)).mean())
    return Line(tuple(_changes(sides, line)), never)


def _between(logs: Array) -> Array:
    """Weights of the points at every place looked at, (place, point)."""
    parts = [np.linspace(a, b, STEPS, endpoint=False) for a, b in pairwise(logs)]
    places = np.append(np.concatenate(parts), logs[-1])
    return np.stack([np.interp(places, logs, one) for one in np.eye(len(logs))], 1)


def _side(low: float, high: float) -> Side:
    return Side.BELOW if high < 0 else Side.ABOVE if low > 0 else Side.OPEN


def _changes(sides: list[Side], line: _Drawn) -> Iterator[SignChange]:
    """Between decided points of two sides, and beyond the first and the last of them."""
    decided = [i for i, side in enumerate(sides) if side != Side.OPEN]
    if not decided:
        yield _change(Side.OPEN, Side.OPEN, line, 0, len(sides) - 1)
        return
    first, last = decided[0], decided[-1]
    if first > 0:
        yield _change(Side.OPEN, sides[first], line, 0, first)
    for i, j in pairwise(decided):
        if sides[i] != sides[j]:
            yield _change(sides[i], sides[j], line, i, j)
    if last < len(sides) - 1:
        yield _change(sides[last], Side.OPEN, line, last, len(sides) - 1)
    if len(set(sides)) == 1:
        yield SignChange(sides[0], sides[0], None, None, None)


def _known(side: Side, other: Side) -> Side:
    """A side, or what it is if the line changes to or from the other one."""
    opposite = {Side.BELOW: Side.ABOVE, Side.ABOVE: Side.BELOW, Side.OPEN: Side.OPEN}
    return opposite[other] if side == Side.OPEN else side


def _change(before: Side, after: Side, line: _Drawn, i: int, j: int) -> SignChange:
    """The change between two points, to the other side where one side is not decided."""
    stretch = slice(STEPS * i, STEPS * j + 1)
    logs, heights, low, high = (part[stretch] for part in line)
    places = _zeros(logs, heights)
    # Beyond an end of the interval the side is decided: there this curve is above zero.
    beyond = {Side.BELOW: -high, Side.ABOVE: low, Side.OPEN: np.full(len(logs), -1.0)}
    starts, ends = beyond[_known(before, after)], beyond[_known(after, before)]
    return SignChange(
        before=before,
        after=after,
        # An even number of zeros leads back to the side where the line began.
        place=places[len(places) // 2] if len(places) % 2 else None,
        low=[*_zeros(logs, starts), float(np.exp(logs[-1]))][0] if starts[0] > 0 else None,
        high=[float(np.exp(logs[0])), *_zeros(logs, ends)][-1] if ends[-1] > 0 else None,
    )


def _zeros(logs: Array, heights: Array) -> list[float]:
    """Where a line is zero."""
    below = heights < 0
    i = np.flatnonzero(below[1:] != below[:-1])
    share = heights[i] / (heights[i] - heights[i + 1])
    found: list[float] = np.exp(logs[i] + share * (logs[i + 1] - logs[i])).tolist()
    return found
