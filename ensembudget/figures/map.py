"""When does a split win? A cell for every budget and data size, coloured by the advantage of splitting."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..analysis import Analysis
from ..analysis.advantages import Advantage
from ..analysis.crossings import Crossing
from ..analysis.laws import Along
from ..records import Setting
from ..scoring.comparison import Verdict
from ._base import Drawing
from ._style import Colour, panel_rows, short

ROW = 2  # panels in a row
CELL = 0.95, 0.75  # inches
# Purple below zero, orange above, white at zero: the colour-blind tell them apart. In grey the n does: it is
# 1 where the wide network wins. The darkest colours are left out, so that text can be read.
COLOURS = ListedColormap(matplotlib.colormaps["PuOr_r"](np.linspace(0.12, 0.88, 256)))
TITLE = "The n with the lowest CNLL at each budget and data size: {family} on {dataset}"
LEGEND = "★: the 95% interval of the difference excludes zero."
CHANGES = " Dot and bar: where its sign changes, 95%."
BAR = "CNLL of the best n > 1\nminus n = 1, nats"


def draw(analysis: Analysis) -> Figure | None:
    shown = [one for one in analysis.advantages if one.setting.train_size is not None]
    sizes = sorted({_size(one) for one in shown})
    budgets = sorted({one.budget.budget for one in shown})
    places = list(dict.fromkeys(_panel(one.setting) for one in shown))
    if len(sizes) < 2:
        return None
    limit = max(max(abs(one.value.value) for one in shown), 1e-3)
    norm, columns = Normalize(-limit, limit), min(ROW, len(places))
    size = max(columns * (CELL[0] * len(sizes) + 0.5) + 1.4, 6.0), CELL[1] * len(budgets) + 1.1
    figure, found = panel_rows(-(-len(places) // columns), columns, size)
    axes, changes = [one for row in found for one in row], False
    for one, place in zip(axes, places, strict=False):
        _frame(one, sizes, budgets)
        for advantage in shown:
            if _panel(advantage.setting) == place:
                where = sizes.index(_size(advantage)), budgets.index(advantage.budget.budget)
                _cell(one, advantage, where, COLOURS(norm(advantage.value.value)))
        for crossing in analysis.crossings:
            if crossing.along == Along.TRAIN_SIZE and crossing.setting == place:
                changes |= _crossing(one, crossing, sizes, budgets)
        one.set_title(place.label, loc="left", fontsize=10)
    for one in axes[len(places) :]:
        one.remove()
    for row in found:
        row[0].set_ylabel(f"budget, {shown[0].budget.budget_kind}")
    cell = shown[0].wide.pool.planned.cell
    title = f"{TITLE.format(family=cell.family, dataset=cell.dataset)}\n{LEGEND}"
    figure.suptitle(title + CHANGES * changes, fontsize=8.5)
    bar = figure.colorbar(matplotlib.cm.ScalarMappable(norm, COLOURS), ax=axes[: len(places)], pad=0.015)
    bar.set_label(BAR, fontsize=8)
    bar.ax.grid(visible=False)
    return figure


def _panel(setting: Setting) -> Setting:
    """The key of a panel: an arm, with or without tuning, and a subset."""
    return setting._replace(train_size=None)


def _size(one: Advantage) -> int:
    assert one.setting.train_size is not None
    return one.setting.train_size


def _frame(axes: Axes, sizes: Sequence[int], budgets: Sequence[int]) -> None:
    """A panel without its cells, grey where nothing was measured."""
    axes.add_patch(Rectangle((-0.5, -0.5), len(sizes), len(budgets), color="0.9", lw=0))
    axes.set(xlim=(-0.5, len(sizes) - 0.5), ylim=(-0.5, len(budgets) - 0.5), xlabel="training images")
    axes.set_xticks(range(len(sizes)), [f"{size:,}" for size in sizes])
    axes.set_yticks(range(len(budgets)), [short(budget) for budget in budgets])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _cell(axes: Axes, one: Advantage, where: tuple[int, int], colour: Colour) -> None:
    x, y = where
    axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour, edgecolor="white", lw=1.5))
    is_decided = one.verdict in (Verdict.BETTER, Verdict.WORSE)
    said = {Verdict.TIE: ", tie", Verdict.NOT_JUDGED: ", ?"}.get(one.verdict, " ★")
    luminance = np.array([0.299, 0.587, 0.114]) @ colour[:3]
    style: dict[str, Any] = {"ha": "center", "va": "center", "color": "white" if luminance < 0.5 else "black"}
    axes.text(
        x, y + 0.2, f"n = {one.best.split.members}{said}", **style,
        fontsize=10 if is_decided else 9, fontweight="bold" if is_decided else "normal",
    )  # fmt: skip
    axes.text(x, y - 0.08, f"{one.value.value:+.3f}", **style, fontsize=8)


def _crossing(axes: Axes, one: Crossing, sizes: Sequence[int], budgets: Sequence[int]) -> bool:
    """Where the sign changes, with its interval; an open end is an arrow. Whether there is any."""
    change = one.change
    if one.budget is None or (change.low is None and change.high is None):
        return False
    y, half = budgets.index(one.budget) - 0.34, 0.42  # of a column: how far an open end goes on
    low = -half if change.low is None else _place(change.low, sizes)
    high = len(sizes) - 1 + half if change.high is None else _place(change.high, sizes)
    if change.place is None and high - low < half:
        return False  # it lies beyond the last point, or the first
    axes.plot([low, high], [y, y], color="white", lw=3.5, zorder=3)
    axes.plot([low, high], [y, y], color="black", lw=1.2, zorder=4)
    for x, end, arrow in ((low, change.low, "<"), (high, change.high, ">")):
        axes.plot(x, y, "|" if end is not None else arrow, color="black", markersize=6, zorder=5)
    if change.place is not None:
        axes.plot(
            _place(change.place, sizes), y, "o", color="black", markersize=6, markeredgecolor="white",
            zorder=6,
        )  # fmt: skip
    return True


def _place(size: float, sizes: Sequence[int]) -> float:
    """Where a data size stands among the columns."""
    return float(np.interp(np.log(size), np.log(sizes), np.arange(len(sizes))))


figure = Drawing(draw)
