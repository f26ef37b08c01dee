"""Radius of tunnels over the norm of weights, against each field that a study varies."""

from matplotlib.figure import Figure

from ..analysis import Analysis
from ..analysis.tunnels import TunnelTrend
from ._base import Drawing
from ._style import entitle, panel_rows


def draw(analysis: Analysis) -> Figure | None:
    fields: dict[str, list[TunnelTrend]] = {}
    for one in analysis.tunnel_trends:
        fields.setdefault(one.field, []).append(one)
    if not fields:
        return None
    figure, rows = panel_rows(2, len(fields), (0.8 + 3.4 * len(fields), 2.9), shared=False)
    for column, (field, its) in enumerate(fields.items()):
        for trend in its:
            points, values = trend.tunnels, trend.values
            for axes, mean, each in (
                (rows[0][column], [one.radius for one in points], [one.radii for one in points]),
                (rows[1][column], [one.relative for one in points], [one.relative_radii for one in points]),
            ):
                means = [one.value if one else float("nan") for one in mean]
                (line,) = axes.plot(values, means, lw=1.4, label=_label(trend))
                for value, some in zip(values, each, strict=True):
                    axes.plot([value] * len(some), some, "o", ms=3.5, color=line.get_color(), alpha=0.6)
                axes.set_xlabel(field.replace("_", " "))
                if min(values) > 0:
                    axes.set_xscale("log")
                axes.set_xticks(values, [f"{value:g}" for value in values])
                axes.minorticks_off()
        if len(its) > 1:
            rows[1][column].legend(fontsize=6)
    rows[0][0].set_ylabel("radius, units of weights")
    rows[1][0].set_ylabel("radius over norm")
    entitle(figure, "Tunnels: a dot for each member, lines through their means")
    return figure


def _label(trend: TunnelTrend) -> str:
    """What all tunnels of a trend share."""
    width = "" if trend.field == "width" else f"width {trend.low.planned.cell.width}"
    return ", ".join(filter(None, [trend.setting.label, width]))


figure = Drawing(draw)
