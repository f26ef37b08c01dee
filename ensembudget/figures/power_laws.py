"""The laws on log axes: measured CNLL, the fitted curve, and its 95% band over fresh members."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..analysis import Analysis
from ..analysis.laws import Along, LawResult
from ..laws._fit import band, curve
from ..records import Reach
from ..tables.power_laws import at
from ._base import Drawing
from ._style import NLL_LABEL, entitle, panels, plain_ticks, scale

TITLE = "Points: measured. Line and band: c + b m^a and 95%, dashed where no asymptote shows"
MOST_NAMED = 12  # lines in a panel that a legend has room for
LABELS = {
    Along.MEMBERS: "members n",
    Along.WIDTH: "width k",
    Along.BUDGET: "budget",
    Along.TRAIN_SIZE: "training images N",
}


def draw(analysis: Analysis) -> Figure | None:
    laws = [one for one in analysis.laws if len(one.points.m)]
    shown = {along: its for along in LABELS if (its := [one for one in laws if one.along == along])}
    if not shown:
        return None
    figure, found = panels(len(shown), (3.9 * len(shown), 3.6))
    for axes, (along, its) in zip(found, shown.items(), strict=True):
        draw_panel(axes, along, its)
    found[0].set_ylabel(NLL_LABEL)
    entitle(figure, TITLE)
    return figure


def draw_panel(axes: Axes, along: Along, laws: Sequence[LawResult]) -> None:
    """The laws along one quantity."""
    for one, colour in zip(laws, scale(len(laws)), strict=True):
        label = f"{at(one)}, {one.setting.label}" if one.setting.label else at(one)
        points = one.points
        axes.plot(points.m, points.y, "o", color=colour, markersize=3.5, label=label)
        if not one.fit.reach:
            continue
        m = np.geomspace(points.m[0], points.m[-1], 60)
        style = "-" if one.fit.reach == Reach.BEYOND else "--"
        axes.plot(m, curve(one.fit, m), color=colour, lw=1.2, ls=style)
        if (ends := band(points, one.fit, m)) is not None:
            axes.fill_between(m, *ends, color=colour, alpha=0.15, lw=0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    plain_ticks(axes, sorted({int(m) for one in laws for m in one.points.m if worth_a_tick(int(m), along)}))
    values = np.concatenate([one.points.y for one in laws])
    low, high = values.min(), values.max()
    ticks = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)
    axes.set_yticks(ticks, [f"{y:.3g}" for y in ticks])
    axes.set_ylim(0.97 * low, 1.03 * high)
    axes.set(xlabel=LABELS[along])
    if len(laws) <= MOST_NAMED:
        axes.legend(fontsize=7)
    else:
        axes.set_title(f"{len(laws)} laws: names are in the table", loc="left", fontsize=8)


def worth_a_tick(m: int, along: Along) -> bool:
    """Of the many ensemble sizes only the powers of two."""
    return along != Along.MEMBERS or m & (m - 1) == 0


figure = Drawing(draw)
