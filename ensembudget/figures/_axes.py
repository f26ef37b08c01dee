"""Splits of one budget drawn into axes of somebody else's figure."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ..analysis.splits import ComparedSplit
from ._style import NLL_LABEL, plain_ticks


def plot_splits(splits: Sequence[ComparedSplit], axes: Axes, **line: Any) -> None:
    """Draws calibrated NLL against ensemble size, with 95% intervals and a star at the lowest.

    Args:
        splits: As from `compare_splits`, or `compared` of a budget of an analysis.
        axes: Where to; labels and ticks are set.
        line: For matplotlib, such as `label` and `color`.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from ensembudget import compare_splits
        >>> pools = {n: np.random.default_rng(n).normal(size=(4, 60, 3)) for n in (1, 2)}
        >>> axes = Figure().subplots()
        >>> plot_splits(compare_splits(pools, np.arange(60) % 3), axes, label="noise")
        >>> axes.get_xlabel(), len(axes.lines) > 0
        ('members n at a fixed budget', True)
    """
    n = np.array([one.members for one in splits], np.float64)
    ends = [(one.cnll.value, one.cnll.low, one.cnll.high) for one in splits]
    y = np.array([value for value, *_ in ends])
    below = [0.0 if low is None else value - low for value, low, _ in ends]
    above = [0.0 if high is None else high - value for value, _, high in ends]
    drawn = axes.errorbar(n, y, [below, above], **{"marker": "o", "capsize": 2, **line})
    best, colour = int(y.argmin()), drawn.lines[0].get_color()
    axes.plot(n[best], y[best], "*", color=colour, markersize=15, markeredgecolor="black", zorder=5)
    axes.set_xscale("log", base=2)
    plain_ticks(axes, [one.members for one in splits])
    axes.set(xlabel="members n at a fixed budget", ylabel=NLL_LABEL)
