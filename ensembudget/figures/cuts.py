"""Training loss and error that training reaches inside random subspaces, against their dimension."""

from collections.abc import Callable

from matplotlib.figure import Figure

from ..analysis import Analysis
from ..analysis.cuts import SUCCESS, TrainedCut
from ..records import Point
from ._base import Drawing
from ._style import or_nan, panels

READS: dict[str, Callable[[Point], float | None]] = {
    "training loss, nats": lambda point: point.train_loss,
    "training error": lambda point: point.train_error,
}


def draw(analysis: Analysis) -> Figure | None:
    pools: dict[tuple[str, int], list[TrainedCut]] = {}
    for one in analysis.cuts:
        pools.setdefault((one.setting.label, one.width), []).append(one)
    if not pools:
        return None
    figure, axes = panels(2, (9.2, 3.8))
    for number, ((setting, width), its) in enumerate(pools.items()):
        name = ", ".join(filter(None, [setting, f"width {width}"]))
        for axis, (label, value) in zip(axes, READS.items(), strict=True):
            colour, mean = f"C{number}", []
            for one in its:
                values = [or_nan(value(each.points[0])) for each in one.found]
                mean.append(sum(values) / len(values))
                axis.plot([one.dimension] * len(values), values, "o", ms=3.5, color=colour, alpha=0.6)
            axis.plot([one.dimension for one in its], mean, lw=1.4, color=colour, label=name)
            axis.set(xscale="log", xlabel="dimension of the cut", ylabel=label)
        whole = its[0].whole
        if whole:
            limit = 1 - SUCCESS * (1 - whole.value)
            axes[1].axhline(limit, color=f"C{number}", lw=0.8, ls=":")
    axes[0].set_yscale("log")
    axes[1].legend(fontsize=7)
    figure.suptitle("Random cuts: dotted, the error below which a cut succeeds", fontsize=9)
    return figure


figure = Drawing(draw)
