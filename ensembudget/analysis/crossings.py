"""Where the advantage of splitting changes sign: along data size at each budget, and along budget."""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass

import numpy as np

from ..records import Setting
from ..scoring.crossings import SignChange, sign_changes
from .advantages import Advantage, DrawnAdvantages
from .laws import Along


@dataclass(frozen=True)
class Crossing:
    """A change of sign along one line of advantages, or that there is none.

    Attributes:
        along: Data size or budget.
        line: The advantages, ascending, at least two.
        change: Where the sign changes: `BELOW` is where a split wins.
        never: Share of the draws of all errors in which the line has no zero in the measured range.
    """

    along: Along
    line: tuple[Advantage, ...]
    change: SignChange
    never: float

    @property
    def setting(self) -> Setting:
        """Of the line: without a data size where it goes along data size."""
        setting = self.line[0].setting
        return setting._replace(train_size=None) if self.along == Along.TRAIN_SIZE else setting

    @property
    def budget(self) -> int | None:
        """None where the line goes along budget."""
        return self.line[0].budget.budget if self.along == Along.TRAIN_SIZE else None

    @property
    def measured(self) -> list[int]:
        """The places of the points."""
        return [place_of(self.along, one) for one in self.line]


def place_of(along: Along, one: Advantage) -> int:
    """Where an advantage stands on a line."""
    place = one.setting.train_size if along == Along.TRAIN_SIZE else one.budget.budget
    assert place is not None
    return place


def crossings(drawn: DrawnAdvantages) -> tuple[Crossing, ...]:
    """Of every line of at least two advantages, by arm and budget, then by arm and data size."""
    with_sizes = [one for one in drawn.found if one.setting.train_size is not None]
    by_size = _lines(
        Along.TRAIN_SIZE, with_sizes, lambda one: (one.setting._replace(train_size=None), one.budget.budget)
    )
    by_budget = _lines(Along.BUDGET, list(drawn.found), lambda one: one.setting)
    return tuple(
        crossing
        for along, line in [*by_size, *by_budget]
        if len(line) > 1
        for crossing in _of_line(along, line, drawn)
    )


def _lines(
    along: Along, some: list[Advantage], key: Callable[[Advantage], Hashable]
) -> Iterator[tuple[Along, list[Advantage]]]:
    found: dict[Hashable, list[Advantage]] = {}
    for one in some:
        found.setdefault(key(one), []).append(one)
    return ((along, sorted(line, key=lambda one: place_of(along, one))) for line in found.values())


def _of_line(along: Along, line: list[Advantage], drawn: DrawnAdvantages) -> Iterator[Crossing]:
    rows = drawn.rows(line)
    at = np.array([float(place_of(along, one)) for one in line])
    found = sign_changes(at, drawn.values[rows], drawn.drawn[rows])
    return (Crossing(along, tuple(line), change, found.never) for change in found.changes)
