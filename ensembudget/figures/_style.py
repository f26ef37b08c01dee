"""How all figures look: fonts, colours, ticks, and panels."""

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ._base import Drawing

Colour = tuple[float, float, float, float]

# In force while a figure is drawn and while it is saved: ticks are made only then.
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "svg.hashsalt": "ensembudget",  # equal data, equal bytes
}
NLL_LABEL = "calibrated NLL, nats per sample"
CHARACTERS = 14  # of 9 points in an inch


def styled(drawing: Drawing, subject: Any) -> Figure | None:
    """A drawing of its subject in our style."""
    with matplotlib.rc_context(STYLE):
        return drawing.draw(subject)


def panels(columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """A row of panels.

    Args:
        columns: How many.
        size: Of the figure, inches.
    """
    figure, rows = panel_rows(1, columns, size)
    return figure, rows[0]


def panel_rows(
    rows: int, columns: int, size: tuple[float, float], *, shared: bool = True
) -> tuple[Figure, list[list[Axes]]]:
    """Rows of panels.

    Args:
        rows: How many.
        columns: In each row.
        size: Of a single row, inches.
        shared: Whether the panels of a column share their vertical axis.
    """
    figure = Figure((size[0], rows * size[1]), layout="constrained")
    return figure, [
        list(row) for row in figure.subplots(rows, columns, sharey="col" if shared else False, squeeze=False)
    ]


def entitle(figure: Figure, text: str) -> None:
    """A line above all panels, broken where the figure is narrower."""
    figure.suptitle(textwrap.fill(text, int(figure.get_figwidth() * CHARACTERS)), fontsize=9)


def watermark(figure: Figure, text: str) -> None:
    """Large pale letters across a figure, in front of everything."""
    figure.text(
        0.5,
        0.5,
        text,
        fontsize=48,
        color="black",
        alpha=0.15,
        rotation=30,
        ha="center",
        va="center",
        zorder=99,
    )


def scale(count: int) -> list[Colour]:
    """Colours from dark to light along one scale, for lines that have an order."""
    return [matplotlib.colormaps["viridis"](x) for x in np.linspace(0.05, 0.85, count)]


def plain_ticks(axes: Axes, values: Sequence[int]) -> None:
    """Labels these values on the horizontal axis, and no others."""
    axes.set_xticks(values, [short(v) for v in values])
    axes.minorticks_off()


def side_legend(axes: Axes, **options: Any) -> None:
    """A legend to the right of a panel, where no line goes."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), **options)


def or_nan(value: float | None) -> float:
    """A number for matplotlib, which leaves out what is none."""
    return float("nan") if value is None else value


def short(value: float) -> str:
    """A number as people write budgets.

    >>> short(61_000), short(1_500), short(2_000_000)
    ('61k', '1500', '2M')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size and (value >= 1e4 or value % size == 0):
            return f"{value / size:.3g}{letter}"
    return f"{value:g}"
