"""CNLL against ensemble size, a line for each budget and arm, the best split starred."""

import numpy as np
from matplotlib.figure import Figure

from ..analysis import Analysis
from ..analysis.splits import BudgetResult, SplitScore
from ._base import Drawing
from ._style import NLL_LABEL, panels, plain_ticks, scale, short, side_legend

DASHES = ("-", "--", ":", "-.")


def draw(analysis: Analysis) -> Figure | None:
    budgets = list(dict.fromkeys(one.budget for one in analysis.budgets))
    arms = list(dict.fromkeys(one.arm for one in analysis.budgets))
    found = {(one.budget, one.arm): one for one in analysis.budgets}
    if not any(scored(one) for one in analysis.budgets):
        return None
    colours = dict(zip(budgets, scale(len(budgets)), strict=True))
    places = [(budget, arm) for budget in budgets for arm in arms]
    figure, (axes,) = panels(1, (6.6, 3.6))
    for line, (budget, arm) in enumerate(places):
        points = scored(found[budget, arm]) if (budget, arm) in found else {}
        if not points:
            continue
        colour, kind = colours[budget], found[budget, arm].budget_kind
        n = np.array(list(points), np.float64)
        n *= 1.025 ** (line - (len(places) - 1) / 2)  # side by side, so that every bar is seen
        y = np.array([score.cnll.value for score in points.values()])
        axes.errorbar(
            n, y, bars(list(points.values())), fmt="o", ls=DASHES[arms.index(arm) % len(DASHES)],
            color=colour, markersize=4, capsize=2, lw=1.4, elinewidth=0.9,
            label=f"{short(budget)} {kind}{f', {arm}' if arm else ''}",
        )  # fmt: skip
        best = int(np.argmin(y))
        axes.plot(n[best], y[best], "*", color=colour, markersize=15, markeredgecolor="black", zorder=5)
    axes.set_xscale("log", base=2)
    plain_ticks(axes, sorted({one.split.members for budget in analysis.budgets for one in budget.splits}))
    axes.set(xlabel="members n at a fixed budget", ylabel=NLL_LABEL)
    axes.set_title("One wide network (n = 1) or several thinner ones", loc="left", fontsize=9)
    side_legend(axes, fontsize=8)
    return figure


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
