"""Means over disjoint subsets of training images: how they vary with the data, and with members alone."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..records import Interval
from .joint import welch
from .standard_errors import Variance, interval


class OverSubsets(NamedTuple):
    """A mean over subsets.

    Attributes:
        mean: With Student's 95% interval over the subsets: the variation of training images is in it.
        members: With Student's 95% interval over members alone, at these training images; no ends where a
            pool has one member.
        beyond: Standard deviation between subsets beyond what members explain, at least zero; None likewise.
    """

    mean: Interval
    members: Interval
    beyond: float | None

    @property
    def wider(self) -> Interval:
        """The wider of both: a few subsets may agree by chance, and members vary all the same."""
        return max(self.mean, self.members, key=_width)


def _width(one: Interval) -> float:
    return 0.0 if one.low is None or one.high is None else one.high - one.low


def over_subsets(values: Array, errors: Sequence[Sequence[Variance] | None]) -> OverSubsets:
    """A quantity that was measured once a subset.

    Args:
        values: (subset,), at least two.
        errors: For each subset the variances over members whose sum is the value's; None where it has none.

    Example:
        >>> found = over_subsets(np.array([1.0, 1.2, 1.1]), [[Variance(0.0064, 7.0)]] * 3)
        >>> round(found.mean.high, 3), round(found.beyond, 3)
        (1.348, 0.06)
    """
    count, mean = len(values), float(values.mean())
    spread = float(values.var(ddof=1))
    over_data = interval(mean, Variance(spread / count, count - 1))
    known = [some for some in errors if some is not None]
    if len(known) < count:
        return OverSubsets(over_data, Interval(value=mean), None)
    parts = [one for some in known for one in some]
    variances = np.array([one.value for one in parts]) / count**2
    freedom = float(welch(variances, np.array([one.freedom for one in parts])))
    beyond = max(0.0, spread - count * float(variances.sum()))
    return OverSubsets(over_data, interval(mean, Variance(float(variances.sum()), freedom)), beyond**0.5)
