"""Training loss, norm and effective learning rate against epoch, a panel a run."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..analysis import Analysis
from ..tables.periods import PeriodLine, kind
from ._base import Drawing
from ._grids import GridRun, drawn_grids
from ._recorded import column

COLOURS = {"train_loss": "#3b528b", "norm": "#e08214", "effective_learning_rate": "#35b779"}


def draw(analysis: Analysis) -> Figure | None:
    grids = drawn_grids(analysis)
    if not grids:
        return None
    columns = min(3, max(map(len, grids)))
    # Each grid begins a row of its own.
    rows = [runs[first : first + columns] for runs in grids for first in range(0, len(runs), columns)]
    figure = Figure((4.2 * columns, 2.5 * len(rows)), layout="constrained")
    panels = figure.subplots(len(rows), columns, sharey=True, squeeze=False)
    for row, runs in zip(panels, rows, strict=True):
        for axes, run in zip(row, runs, strict=False):
            draw_run(axes, run)
        for axes in row[len(runs) :]:
            axes.remove()
    panels[0, 0].legend(fontsize=7, loc="lower left")
    return figure


def draw_run(axes: Axes, run: GridRun) -> None:
    for name, colour in COLOURS.items():
        x, y = column(run.history, "epoch"), column(run.history, name)
        axes.plot(x, y, color=colour, lw=0.8, label=name.replace("_", " "), rasterized=True)
    axes.set_yscale("log")
    axes.set_title(f"{run.title}: {kind(PeriodLine(run.grid, run.point))}", loc="left", fontsize=8)
    axes.set_xlabel("epoch")


figure = Drawing(draw)
