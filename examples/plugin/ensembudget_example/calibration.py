"""NLL before calibration against after, a point for every size of every pool."""

from matplotlib.figure import Figure

from ensembudget.analysis import Analysis
from ensembudget.figures._base import Drawing


def draw(analysis: Analysis) -> Figure | None:
    cells = analysis.plane
    if not cells:
        return None
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    axes.plot([cell.nll for cell in cells], [cell.cnll for cell in cells], "o")
    axes.set(xlabel="NLL, nats per sample", ylabel="CNLL, nats per sample")
    return figure


figure = Drawing(draw)
