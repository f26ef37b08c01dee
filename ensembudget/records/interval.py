"""A value with an interval."""

from ._base import Record


class Interval(Record):
    """A value and the ends of its interval, which are absent where there is only the value."""

    value: float
    low: float | None = None
    high: float | None = None
