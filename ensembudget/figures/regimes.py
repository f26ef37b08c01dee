"""Training loss and effective gradient norm against epoch, a line for each effective learning rate."""

from matplotlib.figure import Figure

from ..analysis import Analysis
from ._base import Drawing
from ._recorded import column
from ._style import panel_rows
from ._sweeps import LINES_SAID, drawn_sweeps, rate_legend

LABELS = {"train_loss": "training loss, nats", "effective_gradient_norm": "effective gradient norm"}


def draw(analysis: Analysis) -> Figure | None:
    sweeps = drawn_sweeps(analysis)
    if not sweeps:
        return None
    figure, rows = panel_rows(len(sweeps), 2, (9.6, 3.8))
    for row, (title, runs) in zip(rows, sweeps, strict=True):
        for run in runs:
            for axes, name in zip(row, LABELS, strict=True):
                x, y = column(run.history, "epoch"), column(run.history, name)
                axes.plot(x, y, run.style, color=run.colour, lw=1.3, label=f"{run.rate:g}")
        for axes, label in zip(row, LABELS.values(), strict=True):
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set(xlabel="epoch", ylabel=label)
        if title:
            row[0].set_title(title, loc="left", fontsize=9)
        rate_legend(row[-1])
    figure.suptitle(f"On the sphere, one run each: {LINES_SAID}", fontsize=9)
    return figure


figure = Drawing(draw)
