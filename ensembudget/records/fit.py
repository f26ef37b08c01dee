"""A fitted law."""

from ._base import Record
from .interval import Interval


class Fit(Record):
    """A law y = c + b m^a fitted to points, or the reason why there is none.

    `status` is "ok", or why the law is refused. Parameters are absent where nothing could be fitted.
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
