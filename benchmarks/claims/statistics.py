"""Every way to read a quantity from rows, by the name that a claim calls it."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ensembudget.tables._base import Row

from . import intervals, samples
from .measured import Measured
from .records import Claim


class Statistic(NamedTuple):
    """How a quantity is read, and what its interval is."""

    read: Callable[[Sequence[Row], Claim], Measured]
    interval: str


STATISTICS: Mapping[str, Statistic] = {
    "value": Statistic(intervals.value, "95%, of its table"),
    "lowest": Statistic(intervals.lowest, "95%, all n of the budget together"),
    "mean": Statistic(intervals.mean, "95% over fresh members, pools independent, at these test samples"),
    "difference": Statistic(intervals.difference, "95% each, half-widths added"),
    "lowest_difference": Statistic(
        intervals.lowest_difference, "95% for all n of a budget together, half-widths added"
    ),
    "ratio": Statistic(intervals.ratio, "ratios of opposite ends"),
    "octaves": Statistic(intervals.octaves, "95%, from draws of all errors"),
    "sample_mean": Statistic(samples.sample_mean, "95%, Student's over rows"),
    "rms": Statistic(samples.rms, "95%, chi-squared over rows"),
    "share": Statistic(samples.share, "95%, Clopper and Pearson's over rows"),
    "welch": Statistic(samples.welch, "95%, Welch's over disjoint ensembles, at these test samples"),
    "doublings": Statistic(
        samples.doublings, "95%, Student's over pairs of ensembles, at these test samples"
    ),
    "improvement": Statistic(samples.improvement, "95%, Student's over pools, at these test samples"),
}
