"""A value with an interval."""

from ._base import Record


class Interval(Record):
    """A value and the ends of its interval, absent where one value is all there is."""

    value: float
    low: float | None = None
    high: float | None = None
