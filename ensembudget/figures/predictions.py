"""Predicted CNLL against ensemble size with its band, a line a budget; rings are measured cells."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from ..records import Prediction
from ._base import Drawing
from ._style import NLL_LABEL, panels, plain_ticks, scale, short, side_legend


class Predicted(NamedTuple):
    """What `predict` found: one prediction a budget, and the measured CNLL by (members, width)."""

    predictions: Sequence[Prediction]
    measured: Mapping[tuple[int, int], float]


def draw(subject: Predicted) -> Figure:
    figure, (axes,) = panels(1, (6.6, 3.6))
    predictions = subject.predictions
    for one, colour in zip(predictions, scale(len(predictions)), strict=True):
        n = np.array([split.members for split in one.splits])
        cells = [(s.cnll.value, s.cnll.low, s.cnll.high) for s in one.splits]
        y, low, high = np.array(cells, float).T  # NaN where there is no interval
        axes.fill_between(n, low, high, color=colour, alpha=0.18, lw=0)
        axes.plot(n, y, color=colour, lw=1.4, label=f"{short(one.budget)} {one.budget_kind}")
        best = [split.members for split in one.splits].index(one.best)
        axes.plot(n[best], y[best], "*", color=colour, markersize=15, markeredgecolor="black", zorder=5)
        places = [(split.members, split.width) for split in one.splits]
        seen = [(place[0], subject.measured[place]) for place in places if place in subject.measured]
        if seen:
            axes.plot(*zip(*seen, strict=True), "o", mfc="none", color=colour, markersize=6)
    axes.set_xscale("log", base=2)
    plain_ticks(axes, sorted({split.members for one in predictions for split in one.splits}))
    axes.set(xlabel="members n at a fixed budget", ylabel=NLL_LABEL)
    axes.set_title("Line and band: predicted, 90%. Star: best. Rings: measured", loc="left", fontsize=9)
    side_legend(axes, fontsize=8)
    return figure


figure = Drawing(draw, about="predictions")
