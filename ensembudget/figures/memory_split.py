"""CNLL against ensemble size: a panel a data size, a line a budget and arm, the best split starred."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..analysis import Analysis
from ..analysis.splits import BudgetResult, SplitScore
from ..records import Setting
from ._base import Drawing
from ._style import NLL_LABEL, panel_rows, plain_ticks, scale, short, side_legend

DASHES = ("-", "--", ":", "-.")
ROW = 3  # panels in a row
TITLE = "One wide network (n = 1) or several thinner ones"


def draw(analysis: Analysis) -> Figure | None:
    places = list(dict.fromkeys(_panel(one.setting) for one in analysis.budgets if scored(one)))
    if not places:
        return None
    rows = -(-len(places) // ROW)
    columns = -(-len(places) // rows)
    figure, found = panel_rows(rows, columns, (2.4 + 4.2 * columns, 3.6), shared=False)
    axes = [one for row in found for one in row]
    for one, place in zip(axes, places, strict=False):
        draw_panel(one, [its for its in analysis.budgets if _panel(its.setting) == place])
        one.set_title(place.label, loc="left", fontsize=9)
    for one in axes[len(places) :]:
        one.remove()
    if len(places) == 1:
        axes[0].set_title(TITLE, loc="left", fontsize=9)
        side_legend(axes[0], fontsize=8)
    else:
        drawn = max((one.get_legend_handles_labels() for one in axes), key=lambda found: len(found[0]))
        figure.suptitle(TITLE, fontsize=9)
        figure.legend(*drawn, loc="outside right upper", fontsize=8)
    return figure


def draw_panel(axes: Axes, shown: Sequence[BudgetResult]) -> None:
    """The budgets and ways of one data size and subset: a colour a budget, or a way where there is one."""
    budgets = list(dict.fromkeys(one.budget for one in shown))
    ways = list(dict.fromkeys(_way(one.setting) for one in shown))
    several = len(budgets) > 1
    colours = scale(len(budgets) if several else len(ways))
    for line, one in enumerate(shown):
        points, way = scored(one), _way(one.setting)
        if not points:
            continue
        colour = colours[budgets.index(one.budget) if several else ways.index(way)]
        n = np.array(list(points), np.float64)
        n *= 1.025 ** (line - (len(shown) - 1) / 2)  # side by side, so that every bar is seen
        y = np.array([score.cnll.value for score in points.values()])
        axes.errorbar(
            n, y, bars(list(points.values())), fmt="o", ls=DASHES[ways.index(way) % len(DASHES)],
            color=colour, markersize=4, capsize=2, lw=1.4, elinewidth=0.9,
            label=f"{short(one.budget)} {one.budget_kind}{f', {way.label}' if way.label else ''}",
        )  # fmt: skip
        best = int(np.argmin(y))
        axes.plot(n[best], y[best], "*", color=colour, markersize=15, markeredgecolor="black", zorder=5)
    axes.set_xscale("log", base=2)
    plain_ticks(axes, sorted({split.split.members for one in shown for split in one.splits}))
    axes.set(xlabel="members n at a fixed budget", ylabel=NLL_LABEL)


def _panel(setting: Setting) -> Setting:
    """The key of a panel: a data size and a subset."""
    return setting._replace(arm="", tuned=None, dtype="")


def _way(setting: Setting) -> Setting:
    """The key of a line style."""
    return setting._replace(train_size=None, subset=None)


def scored(budget: BudgetResult) -> dict[int, SplitScore]:
    """The splits whose pool has enough members, by ensemble size."""
    return {one.split.members: one.score for one in budget.splits if one.score}


def bars(scores: list[SplitScore]) -> np.ndarray:
    """Below and above each CNLL, (2, split); zero where there is no interval."""
    ends = [(one.cnll.value, one.cnll.low, one.cnll.high) for one in scores]
    return np.array(
        [
            [0.0 if low is None else value - low for value, low, _ in ends],
            [0.0 if high is None else high - value for value, _, high in ends],
        ]
    )


figure = Drawing(draw)
