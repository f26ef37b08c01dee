"""How much of the advantage of splitting is left once recipes are tuned."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ..records import Interval, Setting
from ..scoring.comparison import Verdict
from ..scoring.shares import Paired, difference, share_gone
from ..scoring.turning import turned
from .advantages import Advantage, DrawnAdvantages


class Cells(StrEnum):
    """Of which budgets and data sizes a share is."""

    ONE = "one"
    ALL = "all"
    WON_UNTUNED = "all where a split wins untuned"


class NoShare(StrEnum):
    """Why there is no share."""

    WIDE_WINS = "untuned the wide network wins"
    NO_ADVANTAGE = "the untuned advantage cannot be told from zero"


@dataclass(frozen=True)
class TuningShare:
    """The advantage of splitting with the study's own recipe and with a tuned one.

    Attributes:
        cells: One budget and data size, or several of an arm.
        untuned: Their advantages with the study's own recipe.
        tuned: The same budgets and sizes, with values that were chosen on validation images.
        before: Mean untuned advantage, nats per sample, below zero where a split wins.
        after: Mean tuned advantage.
        difference: `after` minus `before`: above zero where tuning takes from the advantage. Pools that
            tuning left as they were are one, and cancel.
        share: 1 - after / before: above 1 where tuning turns the sign, below 0 where it adds to the
            advantage.
        no_share: Why there is none.
    """

    cells: Cells
    untuned: tuple[Advantage, ...]
    tuned: tuple[Advantage, ...]
    before: Interval
    after: Interval
    difference: Interval
    share: Interval | None
    no_share: NoShare | None

    @property
    def setting(self) -> Setting:
        """That of its one cell, without tuning; of several cells the arm and the dtype alone."""
        its = self.untuned[0].setting
        return its._replace(tuned=None) if self.cells == Cells.ONE else its.way


def tuning_shares(drawn: DrawnAdvantages) -> tuple[TuningShare, ...]:
    """Of every budget and setting that was planned with and without tuning, then of all of an arm and dtype.

    Where a split wins untuned in some cells and not in all, these are taken together too.
    """
    pairs = list(_pairs(drawn.found))
    found = [_share(Cells.ONE, [pair], drawn) for pair in pairs]
    for way in dict.fromkeys(before.setting.way for before, _ in pairs):
        its = [pair for pair in pairs if pair[0].setting.way == way]
        won = [pair for pair in its if pair[0].verdict == Verdict.BETTER]
        if len(its) > 1:
            found.append(_share(Cells.ALL, its, drawn))
        if 1 < len(won) < len(its):
            found.append(_share(Cells.WON_UNTUNED, won, drawn))
    return tuple(found)


Pair = tuple[Advantage, Advantage]  # untuned, tuned


def _pairs(some: Sequence[Advantage]) -> Iterator[Pair]:
    tuned = {_place(one): one for one in some if one.setting.tuned}
    untuned = [one for one in some if one.setting.tuned is False]
    return ((one, tuned[_place(one)]) for one in untuned if _place(one) in tuned)


def _place(one: Advantage) -> tuple[object, int]:
    return one.setting._replace(tuned=None), one.budget.budget


def _share(cells: Cells, pairs: Sequence[Pair], drawn: DrawnAdvantages) -> TuningShare:
    before, after = (drawn.rows([pair[i] for pair in pairs]) for i in (0, 1))
    values = [float(drawn.values[rows].mean()) for rows in (before, after)]
    one = Paired(values[0], values[1], drawn.drawn[before].mean(0), drawn.drawn[after].mean(0))
    untuned, tuned = (tuple(pair[i] for pair in pairs) for i in (0, 1))
    if cells == Cells.ONE:
        intervals = [untuned[0].value, tuned[0].value]
    else:
        intervals = [_interval(one.before, one.drawn_before), _interval(one.after, one.drawn_after)]
    share, reason = None, _no_share(intervals[0])
    if reason is None and (share := share_gone(one)) is None:
        reason = NoShare.NO_ADVANTAGE
    return TuningShare(cells, untuned, tuned, intervals[0], intervals[1], difference(one), share, reason)


def _interval(value: float, drawn: np.ndarray) -> Interval:
    low, high = turned(np.array(value), drawn)
    return Interval(value=value, low=float(low), high=float(high))


def _no_share(before: Interval) -> NoShare | None:
    assert before.low is not None
    assert before.high is not None
    if before.high < 0:
        return None
    return NoShare.WIDE_WINS if before.low > 0 else NoShare.NO_ADVANTAGE
