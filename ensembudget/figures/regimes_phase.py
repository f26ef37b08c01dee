"""Effective gradient norm against training loss: where each run goes, from the star on."""

from matplotlib.figure import Figure

from ..analysis import Analysis
from ._base import Drawing
from ._recorded import column
from ._style import panel_rows
from ._sweeps import drawn_sweeps, rate_legend

TITLE = "Phase diagram: ★ first epoch, ● last"


def draw(analysis: Analysis) -> Figure | None:
    sweeps = drawn_sweeps(analysis)
    if not sweeps:
        return None
    figure, rows = panel_rows(len(sweeps), 1, (6.4, 4.2))
    for (axes,), (title, runs) in zip(rows, sweeps, strict=True):
        for run in runs:
            x, y = column(run.history, "train_loss"), column(run.history, "effective_gradient_norm")
            axes.plot(
                x, y, run.style, marker=".", markersize=2.5, color=run.colour, lw=0.8, label=f"{run.rate:g}"
            )
            axes.plot(x[:1], y[:1], "*", color=run.colour, markersize=9, markeredgecolor="black", zorder=4)
            axes.plot(x[-1:], y[-1:], "o", color=run.colour, markersize=5, markeredgecolor="black", zorder=5)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set(xlabel="training loss, nats", ylabel="effective gradient norm")
        axes.set_title(f"{title}. {TITLE}" if title else TITLE, loc="left", fontsize=9)
        rate_legend(axes)
    return figure


figure = Drawing(draw)
