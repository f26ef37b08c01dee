"""Learning curves, a panel a law: measured points, the fit to few images, and where it says they go."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FormatStrFormatter, LogLocator

from ..analysis.curve_fits import CurveFit, JudgedCurves
from ..analysis.curve_ranks import ALL, RankResult
from ..laws._fit import curve
from ..records import Interval
from ._base import Drawing
from ._style import Colour, panel_rows, scale, short, side_legend

TICKS = (1, 1.5, 2, 3, 5, 7)
MARKERS = "os^Dvp*X"
UNITS = {"cnll": "calibrated NLL, nats per sample", "nll": "NLL, nats per sample", "error": "error"}


def draw(subject: Any) -> Figure | None:
    """Of anything with judged curves: an analysis, or what the command found."""
    if not subject.curves:
        return None
    laws = list(subject.curves[0].judged.fits)
    height = max(3.0, 0.6 + 0.14 * max(len(legend(found.judged)) for found in subject.curves))
    figure, rows = panel_rows(len(subject.curves), len(laws), (3.1 * len(laws) + 1.9, height), shared=False)
    for row, found in zip(rows, subject.curves, strict=True):
        for axes, law in zip(row, laws, strict=True):
            draw_panel(axes, found.judged, law)
            axes.set_title(title(law, found.ranks), loc="left", fontsize=8)
        row[0].set_ylabel(UNITS[found.judged.curves.metric])
        side_legend(row[-1], handles=legend(found.judged), fontsize=6)
    figure.suptitle(suptitle(subject.curves[0].judged), fontsize=9)
    return figure


def suptitle(judged: JudgedCurves) -> str:
    return (
        f"Filled: measured and fitted, up to {judged.largest:,.0f} images. Open: measured, not fitted."
        f" Cross: predicted at {judged.at:,.0f}. Faint: the law is refused"
    )


def title(law: str, ranks: Sequence[RankResult]) -> str:
    """How the law ranks all models, where there are enough of them."""
    found = next((one.spearman for one in ranks if (one.law, one.group) == (law, ALL)), None)
    return law if found is None else f"{law}: rank correlation {written(found)}"


def written(one: Interval) -> str:
    return f"{one.value:.2f}" + ("" if one.low is None else f" [{one.low:.2f}, {one.high:.2f}]")


def styles(judged: JudgedCurves) -> tuple[dict[tuple[str, int], Colour], dict[int, str]]:
    """A colour a network, and a marker an ensemble size."""
    models = judged.curves.models
    networks = list(dict.fromkeys(model.network for model in models))
    members = sorted({model.members for model in models})
    markers = {n: MARKERS[i % len(MARKERS)] for i, n in enumerate(members)}
    return dict(zip(networks, scale(len(networks)), strict=True)), markers


def legend(judged: JudgedCurves) -> list[Line2D]:
    colours, markers = styles(judged)
    of_networks = [
        Line2D([], [], color=colour, lw=3, label=f"{family.partition(' ')[0]} {width}")
        for (family, width), colour in colours.items()
    ]
    of_sizes = [
        Line2D([], [], color="grey", marker=marker, ls="", markersize=3.5, label=f"n = {n}")
        for n, marker in markers.items()
    ]
    return of_networks + of_sizes


def draw_panel(axes: Axes, judged: JudgedCurves, law: str) -> None:
    curves, sizes = judged.curves, judged.curves.sizes
    colours, markers = styles(judged)
    for row, (model, fit) in enumerate(zip(curves.models, judged.fits[law], strict=True)):
        colour, marker = colours[model.network], markers[model.members]
        fitted = judged.fitted(row)
        later = [i for i in np.flatnonzero(curves.values[row] > 0) if i not in fitted]
        axes.plot(sizes[fitted], curves.values[row, fitted], marker, color=colour, markersize=3.5)
        axes.plot(sizes[later], curves.values[row, later], marker, mfc="none", color=colour, markersize=3.5)
        draw_fit(axes, fit, colour)
    axes.set_xscale("log")
    axes.set_xticks(sizes, [short(size) for size in sizes], fontsize=7)
    values = curves.values[curves.values > 0]
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=TICKS))
    axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.minorticks_off()
    axes.set_ylim(0.7 * values.min(), 1.1 * values.max())
    axes.set_xlabel("training images N")


def draw_fit(axes: Axes, fit: CurveFit, colour: Colour) -> None:
    """A law where it was fitted, dashed beyond, with a cross at what it predicts."""
    if fit.predicted is None:
        return
    alpha = 1 if fit.fit.reach else 0.25
    first, last = float(fit.points.m[0]), float(fit.points.m[-1])
    for start, end, style in ((first, last, "-"), (last, fit.at, ":")):
        sizes = np.geomspace(start, end, 40)
        axes.plot(sizes, fit.scale * curve(fit.fit, sizes), color=colour, lw=0.9, ls=style, alpha=alpha)
    axes.plot(fit.at, fit.predicted.value, "x", color=colour, markersize=5, mew=1.2, alpha=alpha)


figure = Drawing(draw)
