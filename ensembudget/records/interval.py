"""A value with an interval."""

from ._base import Record


class Interval(Record):
    """A value and the ends of its interval, which are absent where there is only the value."""

    value: float
    low: float | None = None
    high: float | None = None

    def within(self, lowest: float, highest: float) -> "Interval":
        """The same with its ends moved to where the quantity can be.

        >>> Interval(value=0.99, low=0.97, high=1.01).within(0, 1).high
        1.0
        """
        if self.low is None or self.high is None:
            return self
        low, high = (min(max(end, float(lowest)), float(highest)) for end in (self.low, self.high))
        return Interval(value=self.value, low=low, high=high)
