"""Figures of a report, drawn from the rows of its tables."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..analysis.laws import LawResult
from ..laws import power_law
from ..tables._base import Row
from ..tables.power_laws import at

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "svg.hashsalt": "ensembudget",  # equal data, equal bytes
}

_DASHES = ("-", "--", ":", "-.")


def figures(
    splits: Sequence[Row], laws: Sequence[LawResult], plane: Sequence[Row]
) -> Iterator[tuple[str, Figure]]:
    """Every figure with its name: CNLL against n, the laws, the plane."""
    with matplotlib.rc_context(STYLE):
        if any(row.get("cnll") is not None for row in splits):
            yield "memory_split", memory_split(splits)
        if any(len(one.m) for one in laws):
            yield "power_laws", power_laws(laws)
        if plane:
            yield "plane", plane_figure(plane)


def memory_split(rows: Sequence[Row]) -> Figure:
    """CNLL against ensemble size, a line a budget, the best split starred."""
    figure, axes = subplots(1, (6.6, 3.6))
    budgets = list(dict.fromkeys(row["budget"] for row in rows))
    arms = list(dict.fromkeys(row.get("arm") for row in rows))
    colours = dict(zip(budgets, _colours(len(budgets)), strict=True))
    places = [(budget, arm) for budget in budgets for arm in arms]
    for line, (budget, arm) in enumerate(places):
        points = [row for row in rows if (row["budget"], row.get("arm")) == (budget, arm)]
        points, colour = [row for row in points if row.get("cnll") is not None], colours[budget]
        if not points:
            continue
        n, y, low, high = (numbers(points, name) for name in ("members", "cnll", "cnll_low", "cnll_high"))
        bars = np.nan_to_num(np.stack([y - low, high - y]))
        n *= 1.025 ** (line - (len(places) - 1) / 2)  # side by side, so that every bar is seen
        axes[0].errorbar(
            n, y, bars, fmt="o", ls=_DASHES[arms.index(arm) % len(_DASHES)], color=colour, markersize=4,
            capsize=2, lw=1.4, elinewidth=0.9,
            label=f"{_short(budget)} {points[0]['budget_kind']}{f', {arm}' if arm else ''}",
        )  # fmt: skip
        best = int(np.argmin(y))
        axes[0].plot(n[best], y[best], "*", color=colour, markersize=15, markeredgecolor="black", zorder=5)
    axes[0].set_xscale("log", base=2)
    _plain_ticks(axes[0], sorted({int(row["members"] or 0) for row in rows}))
    axes[0].set(xlabel="members n at a fixed budget", ylabel="calibrated NLL, nats per sample")
    axes[0].set_title("One wide network (n = 1) or several thinner ones", loc="left", fontsize=9)
    axes[0].legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))  # lines go anywhere inside
    return figure


def power_laws(laws: Sequence[LawResult]) -> Figure:
    """The laws on log axes: measured CNLL, the fitted curve, and its 95% band."""
    laws = [one for one in laws if len(one.m)]
    kinds = [kind for kind in ("members", "width", "budget") if any(s.along == kind for s in laws)]
    figure, panels = subplots(len(kinds), (3.9 * len(kinds), 3.6))
    for axes, kind in zip(panels, kinds, strict=True):
        shown = [s for s in laws if s.along == kind]
        for one, colour in zip(shown, _colours(len(shown)), strict=True):
            label = f"{at(one)}, {one.arm}" if one.arm else at(one)
            axes.plot(one.m, one.cnll, "o", color=colour, markersize=3.5, label=label)
            if one.fit.status != "ok":
                continue
            m = np.geomspace(one.m.min(), one.m.max(), 60)
            axes.plot(m, power_law.value(one.fit, m), color=colour, lw=1.2)
            axes.fill_between(m, *power_law.band(one.m, one.cnll, m), color=colour, alpha=0.15, lw=0)
        axes.set_xscale("log")
        axes.set_yscale("log")
        _plain_ticks(axes, sorted({int(x) for one in shown for x in one.m if _worth_a_tick(x, kind)}))
        values = np.concatenate([one.cnll for one in shown])
        low, high = values.min(), values.max()
        ticks = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)
        axes.set_yticks(ticks, [f"{y:.3g}" for y in ticks])
        axes.set_ylim(0.97 * low, 1.03 * high)
        axes.set(xlabel={"members": "members n", "width": "width k", "budget": "budget"}[kind])
        axes.legend(fontsize=7)
    panels[0].set_ylabel("calibrated NLL, nats per sample")
    figure.suptitle("Points: measured. Line and band: c + b m^a where it holds, 95%", fontsize=9)
    return figure


def plane_figure(rows: Sequence[Row]) -> Figure:
    """CNLL over the (n, width) plane, one an arm; cells that were measured carry their number."""
    arms = list(dict.fromkeys(row.get("arm") for row in rows))
    widths = sorted({int(row["width"] or 0) for row in rows})
    sizes = sorted({int(row["members"] or 0) for row in rows})
    sizes = [n for n in sizes if n & (n - 1) == 0]  # powers of two: columns that can be read
    grids = np.full((len(arms), len(widths), len(sizes)), np.nan)
    for row in rows:
        if row["members"] in sizes:
            place = arms.index(row.get("arm")), widths.index(int(row["width"] or 0))
            grids[(*place, sizes.index(int(row["members"] or 0)))] = row["cnll"]
    figure, panels = subplots(len(arms), (1.6 + 0.75 * len(sizes) * len(arms), 1.4 + 0.42 * len(widths)))
    low, high = np.nanmin(grids), np.nanmax(grids)
    for axes, arm, grid in zip(panels, arms, grids, strict=True):
        image = axes.imshow(grid, origin="lower", cmap="viridis_r", aspect="auto", vmin=low, vmax=high)
        for (i, j), value in np.ndenumerate(grid):
            if np.isfinite(value):
                axes.text(j, i, f"{value:.3f}", ha="center", va="center", fontsize=7,
                          color="white" if value > (low + high) / 2 else "black")  # fmt: skip
        axes.set_xticks(range(len(sizes)), [str(n) for n in sizes])
        axes.set_yticks(range(len(widths)), [str(k) for k in widths])
        axes.grid(visible=False)
        axes.set(xlabel="members n", ylabel="width k")
        axes.set_title(str(arm) if arm else "Calibrated NLL of n members of width k", loc="left", fontsize=9)
    figure.colorbar(image, ax=panels, label="nats per sample")
    return figure


def predictions_figure(rows: Sequence[Row], measured: Mapping[tuple[int, int], float]) -> Figure:
    """Predicted CNLL against ensemble size with its band, a line a budget; rings are measured cells.

    Args:
        rows: Of the table of predictions.
        measured: CNLL by (members, width).
    """
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = subplots(1, (6.6, 3.6))
        budgets = list(dict.fromkeys(row["budget"] for row in rows))
        for budget, colour in zip(budgets, _colours(len(budgets)), strict=True):
            line = [row for row in rows if row["budget"] == budget]
            n, y, low, high = (numbers(line, name) for name in ("members", "cnll", "cnll_low", "cnll_high"))
            axes.fill_between(n, low, high, color=colour, alpha=0.18, lw=0)
            axes.plot(n, y, color=colour, lw=1.4, label=f"{_short(budget)} {line[0]['budget_kind']}")
            best = int(np.argmin(y))
            axes.plot(n[best], y[best], "*", color=colour, markersize=15, markeredgecolor="black", zorder=5)
            cells = [(int(r["members"] or 0), int(r["width"] or 0)) for r in line]
            seen = [(cell[0], measured[cell]) for cell in cells if cell in measured]
            if seen:
                axes.plot(*zip(*seen, strict=True), "o", mfc="none", color=colour, markersize=6)
        axes.set_xscale("log", base=2)
        _plain_ticks(axes, sorted({int(row["members"] or 0) for row in rows}))
        axes.set(xlabel="members n at a fixed budget", ylabel="calibrated NLL, nats per sample")
        axes.set_title("Line and band: predicted, 90%. Star: best. Rings: measured", loc="left", fontsize=9)
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    return figure


def subplots(panels: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    figure = Figure(size, layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(1, panels)))


def _colours(count: int) -> list[tuple[float, float, float, float]]:
    """Dark to light along one scale: the lines have an order."""
    return [matplotlib.colormaps["viridis"](x) for x in np.linspace(0.05, 0.85, count)]


def _plain_ticks(axes: Axes, values: Sequence[int]) -> None:
    axes.set_xticks(values, [_short(v) for v in values])
    axes.minorticks_off()


def _worth_a_tick(x: float, kind: str) -> bool:
    return kind != "members" or int(x) & (int(x) - 1) == 0


def _short(value: object) -> str:
    number = float(str(value))
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size and (number >= 1e4 or number % size == 0):
            return f"{number / size:.3g}{letter}"
    return f"{number:g}"


def numbers(rows: Sequence[Row], name: str) -> np.ndarray:
    return np.array([np.nan if row.get(name) is None else float(str(row[name])) for row in rows])
