"""Effective gradient norm against effective learning rate: the cycle that a periodic run goes round."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..analysis import Analysis
from ._base import Drawing
from ._grids import GridRun, drawn_grids
from ._recorded import column
from ._style import panel_rows

CYCLES = 3  # runs of a grid: more hide one another


def draw(analysis: Analysis) -> Figure | None:
    grids = [chosen(runs) for runs in drawn_grids(analysis)]
    if not grids:
        return None
    columns = max(map(len, grids))
    figure, rows = panel_rows(len(grids), columns, (3.9 * columns, 3.6))
    for row, runs in zip(rows, grids, strict=True):
        for axes, run in zip(row, runs, strict=False):
            draw_cycle(figure, axes, run)
        for axes in row[len(runs) :]:
            axes.remove()
        row[0].set_ylabel("effective gradient norm")
    figure.suptitle(
        "The cycle in the second half of a run. Dashed: the equilibrium, s g = sqrt(2 r d)", fontsize=9
    )
    return figure


def chosen(runs: Sequence[GridRun]) -> list[GridRun]:
    """A few of the periodic runs, or of all where none is, from the smallest product to the largest."""
    periodic = [run for run in runs if run.point.is_periodic] or runs
    spread = np.linspace(0, len(periodic) - 1, min(CYCLES, len(periodic))).round().astype(int)
    return [periodic[i] for i in spread]


def draw_cycle(figure: Figure, axes: Axes, run: GridRun) -> None:
    names = ("effective_learning_rate", "effective_gradient_norm", "epoch")
    x, y, epoch = (column(run.history, name)[run.history.rows // 2 :] for name in names)
    axes.plot(x, y, color="0.75", lw=0.5, zorder=1)
    drawn = axes.scatter(x, y, c=epoch, s=5, cmap="viridis", zorder=2, rasterized=True)  # thousands of points
    axes.set_xscale("log")
    axes.set_yscale("log")
    edges = np.array(axes.get_xlim())
    axes.plot(edges, math.sqrt(2 * run.point.product) / edges, "--", color="black", lw=0.9)
    axes.set(xlim=edges, xlabel="effective learning rate")
    axes.set_title(run.title, loc="left", fontsize=8)
    figure.colorbar(drawn, ax=axes, label="epoch")


figure = Drawing(draw)
