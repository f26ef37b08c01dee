"""A fitted law."""

from enum import StrEnum

from ._base import Record
from .interval import Interval


class Reach(StrEnum):
    """How far a law may be believed."""

    NOWHERE = ""
    MEASURED = "measured range"
    BEYOND = "beyond it too"


class Fit(Record):
    """A law y = c + b m^a fitted to points, or the reason why there is none.

    `status` is "ok" where the asymptote c is determined, or says what is wrong; `reach` says how far the law
    may be believed all the same. Parameters are absent where nothing could be fitted, and their intervals
    where the errors of the points are not known: `no_interval` says why.
    """

    law: str
    objective: str
    a: Interval | None = None
    b: Interval | None = None
    c: Interval | None = None
    residual: float | None = None
    held_out_error: float | None = None
    points: int
    smallest: float | None = None
    largest: float | None = None
    status: str
    reach: Reach = Reach.NOWHERE
    no_interval: str | None = None
