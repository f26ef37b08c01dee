"""Training loss along paths between members, and at the centres of hulls of several."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..analysis import Analysis
from ..analysis.connectors import Connection
from ._base import Drawing
from ._style import entitle, or_nan, panels, plain_ticks


def draw(analysis: Analysis) -> Figure | None:
    pools: dict[tuple[str, int], list[Connection]] = {}
    for one in analysis.connections:
        pools.setdefault((one.setting.label, one.width), []).append(one)
    drawn = [(pool, hulls) for pool in pools.items() for hulls in (False, True) if _of(pool[1], hulls)]
    if not drawn:
        return None
    figure, axes = panels(len(drawn), (0.6 + 4.4 * len(drawn), 3.8))
    for axis, (((setting, width), its), hulls) in zip(axes, drawn, strict=True):
        (_hulls if hulls else _paths)(axis, _of(its, hulls))
        axis.set_title(", ".join(filter(None, [setting, f"width {width}"])), loc="left", fontsize=9)
        axis.set_ylabel("training loss, nats")
        axis.set_yscale("log")
        axis.legend(fontsize=7)
    entitle(figure, "Between members: thick, the mean over groups; thin, each group")
    return figure


def _of(its: Sequence[Connection], hulls: bool) -> list[Connection]:
    return [one for one in its if one.is_hull == hulls]


def _paths(axis: Axes, its: Sequence[Connection]) -> None:
    colours = {path: f"C{number}" for number, path in enumerate(dict.fromkeys(one.path for one in its))}
    for one in its:
        style: dict[str, Any] = {"color": colours[one.path], "ls": "--" if one.aligned else "-"}
        at = [point.at for point in one.found[0].points]
        losses = np.array([[or_nan(p.train_loss) for p in each.points] for each in one.found])
        axis.plot(at, losses.T, lw=0.5, alpha=0.5, **style)
        axis.plot(at, losses.mean(0), lw=1.8, label=one.path + ", aligned" * bool(one.aligned), **style)
    axis.set_xlabel("position between two members, share of the path")


def _hulls(axis: Axes, its: Sequence[Connection]) -> None:
    """The centre before and after it moved, and the members, against m."""
    places = sorted({one.joined - 1 for one in its})
    rows = {
        "centre of the members": slice(0, 1),
        "moved to lower loss": slice(1, 2),
        "members": slice(2, None),
    }
    for (label, row), colour in zip(rows.items(), ("C3", "C0", "0.4"), strict=True):
        points = [
            (one.joined - 1, float(np.mean([or_nan(p.train_loss) for p in each.points[row]])))
            for one in its
            for each in one.found
        ]
        means = [np.mean([y for x, y in points if x == place]) for place in places]
        axis.plot(*zip(*points, strict=True), "o", ms=3, color=colour, alpha=0.5)
        axis.plot(places, means, lw=1.6, color=colour, label=label)
    plain_ticks(axis, places)
    axis.set_xlabel("m: m + 1 members are joined")


figure = Drawing(draw)
