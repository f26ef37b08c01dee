"""Period against learning rate times weight decay, with the fitted line and the theory's slope."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..analysis import Analysis
from ..analysis.periods import PeriodPoint
from ..dynamics.periods import PRODUCT, LogSlope
from ..records import Interval
from ._base import Drawing
from ._recorded import titles
from ._style import panel_rows

COLOUR = "#3b528b"


def draw(analysis: Analysis) -> Figure | None:
    laws = [next((law for law in grid.slopes if law.along == PRODUCT), None) for grid in analysis.grids]
    shown = [
        (title, grid.by_product, law)
        for title, grid, law in zip(titles(analysis.grids), analysis.grids, laws, strict=True)
        if law
    ]
    if not shown:
        return None
    columns = min(2, len(shown))
    figure, rows = panel_rows(math.ceil(len(shown) / columns), columns, (5.2 * columns, 3.7))
    found = [axes for row in rows for axes in row]
    for axes, (title, points, law) in zip(found, shown, strict=False):
        draw_law(axes, points, law)
        if title:
            axes.set_title(title, loc="left", fontsize=9)
    for axes in found[len(shown) :]:
        axes.remove()
    return figure


def draw_law(axes: Axes, points: Sequence[PeriodPoint], law: LogSlope) -> None:
    measured = [(one, period) for one in points if (period := one.period)]
    fitted = [(one, period) for one, period in measured if one.is_periodic]
    others = [(one, period) for one, period in measured if not one.is_periodic]
    draw_points(axes, fitted, COLOUR, "periodic")
    draw_points(axes, others, "white", "not periodic, left out of the fit")
    products = [one.product for one, _ in measured]
    at = np.geomspace(min(products), max(products), 20)
    both = np.array([(one.product, period.value) for one, period in fitted])
    x, y = (np.exp(np.log(values).mean()) for values in both.T)
    slope = law.slope
    axes.plot(at, y * (at / x) ** slope.value, color=COLOUR, lw=1.2,
              label=f"fit, slope {slope.value:.2f} [{slope.low:.2f}, {slope.high:.2f}]")  # fmt: skip
    axes.plot(at, y * (at / x) ** law.predicted, "--", color="black", lw=1,
              label=f"theory, slope {law.predicted:g}")  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set(xlabel=PRODUCT, ylabel="period, steps")
    axes.legend(fontsize=7)


def draw_points(axes: Axes, points: Sequence[tuple[PeriodPoint, Interval]], face: str, label: str) -> None:
    """Periods with their intervals."""
    if not points:
        return
    x = [one.product for one, _ in points]
    y, low, high = np.array([(period.value, period.low, period.high) for _, period in points]).T
    axes.errorbar(x, y, [y - low, high - y], fmt="o", color=COLOUR, mfc=face, capsize=2, label=label)


figure = Drawing(draw)
