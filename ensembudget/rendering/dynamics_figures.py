"""Figures of recorded studies, drawn from the rows of their tables and histories."""

import math
from collections.abc import Iterator, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ..dynamics.periods import PERIODIC
from ..dynamics.regimes import REGIMES
from ..tables._base import Row
from .figures import STYLE, numbers, subplots

Runs = dict[tuple[float, ...], list[Row]]  # histories by what was swept

_LINES = dict(zip(REGIMES, ("-", "--", ":"), strict=True))
ROUNDED = 6e-4  # what four digits in a history can be off
CYCLES = 3  # runs in the phase diagram of periods: more hide one another


def dynamics_figures(
    histories: Sequence[Row], regimes: Sequence[Row], periods: Sequence[Row], laws: Sequence[Row]
) -> Iterator[tuple[str, Figure]]:
    """Every figure with its name: loss and gradient, phase diagrams, periods and their law."""
    with matplotlib.rc_context(STYLE):
        if regimes:
            sphere = _by(histories, regimes, "effective_learning_rate")
            yield "regimes", regimes_figure(sphere, regimes)
            yield "regimes_phase", regimes_phase(sphere, regimes)
        if periods:
            grid = _by(histories, periods, "learning_rate", "weight_decay")
            yield "periods", periods_figure(grid, periods)
            yield "periods_phase", periods_phase(grid, periods)
            if laws:
                yield "period_laws", period_laws(periods, laws)


def regimes_figure(runs: Runs, table: Sequence[Row]) -> Figure:
    """Training loss and effective gradient norm against epoch, a line an effective learning rate."""
    figure, axes = subplots(2, (9.6, 3.8))
    for (rate,), history in runs.items():
        style, colour = _LINES[_regime(table, rate)], _colour(rate, runs)
        for one, name in zip(axes, ("train_loss", "effective_gradient_norm"), strict=True):
            x, y = numbers(history, "epoch"), numbers(history, name)
            one.plot(x, y, style, color=colour, lw=1.3, label=f"{rate:g}")
    for one, label in zip(axes, ("training loss, nats", "effective gradient norm"), strict=True):
        one.set_xscale("log")
        one.set_yscale("log")
        one.set(xlabel="epoch", ylabel=label)
    axes[-1].legend(title="effective\nlearning rate", fontsize=7, title_fontsize=7,
                    loc="upper left", bbox_to_anchor=(1.01, 1))  # fmt: skip
    lines = ", ".join(
        f"{name} {word}" for name, word in zip(REGIMES, ("solid", "dashed", "dotted"), strict=True)
    )
    figure.suptitle(f"On the sphere, one run each: {lines}", fontsize=9)
    return figure


def regimes_phase(runs: Runs, table: Sequence[Row]) -> Figure:
    """Effective gradient norm against training loss: where each run goes, from the star on."""
    figure, (axes,) = subplots(1, (6.4, 4.2))
    for (rate,), history in runs.items():
        x, y = numbers(history, "train_loss"), numbers(history, "effective_gradient_norm")
        style, colour = _LINES[_regime(table, rate)], _colour(rate, runs)
        axes.plot(x, y, style, marker=".", markersize=2.5, color=colour, lw=0.8, label=f"{rate:g}")
        axes.plot(x[:1], y[:1], "*", color=colour, markersize=9, markeredgecolor="black", zorder=4)
        axes.plot(x[-1:], y[-1:], "o", color=colour, markersize=5, markeredgecolor="black", zorder=5)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set(xlabel="training loss, nats", ylabel="effective gradient norm")
    axes.set_title("Phase diagram: ★ first epoch, ● last", loc="left", fontsize=9)
    axes.legend(title="effective\nlearning rate", fontsize=7, title_fontsize=7,
                loc="upper left", bbox_to_anchor=(1.01, 1))  # fmt: skip
    return figure


def periods_figure(runs: Runs, table: Sequence[Row]) -> Figure:
    """Training loss, norm and effective learning rate against epoch, a panel a run."""
    columns = min(3, len(runs))
    figure = Figure((4.2 * columns, 2.5 * math.ceil(len(runs) / columns)), layout="constrained")
    grid = np.atleast_1d(figure.subplots(math.ceil(len(runs) / columns), columns, sharey=True)).ravel()
    names = ("train_loss", "norm", "effective_learning_rate")
    for axes, (place, history) in zip(grid, runs.items(), strict=False):
        for name, colour in zip(names, ("#3b528b", "#e08214", "#35b779"), strict=True):
            x, y = numbers(history, "epoch"), numbers(history, name)
            axes.plot(x, y, color=colour, lw=0.8, label=name.replace("_", " "), rasterized=True)
        axes.set_yscale("log")
        axes.set_title(f"{_named(place)}: {_row(table, place)['kind']}", loc="left", fontsize=8)
        axes.set_xlabel("epoch")
    for axes in grid[len(runs) :]:
        axes.remove()
    grid[0].legend(fontsize=7, loc="lower left")
    return figure


def periods_phase(runs: Runs, table: Sequence[Row]) -> Figure:
    """Effective gradient norm against effective learning rate: the cycle that a periodic run goes round."""
    periodic = [p for p in runs if _periodic(_row(table, p))] or list(runs)
    spread = np.linspace(0, len(periodic) - 1, min(CYCLES, len(periodic))).round().astype(int)
    chosen = [periodic[i] for i in spread]
    figure, axes = subplots(len(chosen), (3.9 * len(chosen), 3.6))
    for one, place in zip(axes, chosen, strict=True):
        history = runs[place][len(runs[place]) // 2 :]
        x, y = numbers(history, "effective_learning_rate"), numbers(history, "effective_gradient_norm")
        one.plot(x, y, color="0.75", lw=0.5, zorder=1)
        drawn = one.scatter(
            x, y, c=numbers(history, "epoch"), s=5, cmap="viridis", zorder=2, rasterized=True
        )  # thousands of points
        one.set_xscale("log")
        one.set_yscale("log")
        product = float(str(_row(table, place)["product"]))
        edges = np.array(one.get_xlim())
        one.plot(edges, math.sqrt(2 * product) / edges, "--", color="black", lw=0.9)
        one.set(xlim=edges, xlabel="effective learning rate")
        one.set_title(_named(place), loc="left", fontsize=8)
        figure.colorbar(drawn, ax=one, label="epoch")
    axes[0].set_ylabel("effective gradient norm")
    figure.suptitle(
        "The cycle in the second half of a run. Dashed: the equilibrium, s g = sqrt(2 r d)", fontsize=9
    )
    return figure


def period_laws(table: Sequence[Row], laws: Sequence[Row]) -> Figure:
    """Period against learning rate times weight decay, with the fitted line and the theory's slope."""
    figure, (axes,) = subplots(1, (5.2, 3.7))
    shown = [row for row in table if row.get("period") is not None]
    x, y, low, high = (numbers(shown, name) for name in ("product", "period", "period_low", "period_high"))
    fitted = np.array([_periodic(row) for row in shown])
    for chosen, face in ((fitted, "#3b528b"), (~fitted, "white")):
        bars = np.stack([y - low, high - y])[:, chosen]
        label = "periodic" if face != "white" else "not periodic, left out of the fit"
        if chosen.any():
            axes.errorbar(
                x[chosen], y[chosen], bars, fmt="o", color="#3b528b", mfc=face, capsize=2, label=label
            )
    law = next(row for row in laws if row["along"] == "learning rate x weight decay")
    at = np.geomspace(x.min(), x.max(), 20)
    middle = np.exp(np.log(x[fitted]).mean()), np.exp(np.log(y[fitted]).mean())
    slope, ends = float(str(law["slope"])), (float(str(law["slope_low"])), float(str(law["slope_high"])))
    axes.plot(at, middle[1] * (at / middle[0]) ** slope, color="#3b528b", lw=1.2,
              label=f"fit, slope {slope:.2f} [{ends[0]:.2f}, {ends[1]:.2f}]")  # fmt: skip
    axes.plot(at, middle[1] * (at / middle[0]) ** -1.0, "--", color="black", lw=1, label="theory, slope -1")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set(xlabel="learning rate x weight decay", ylabel="period, steps")
    axes.legend(fontsize=7)
    return figure


def _by(histories: Sequence[Row], table: Sequence[Row], *names: str) -> Runs:
    """The histories of a table's rows, by their values of some columns, in the table's order."""
    width = table[0]["width"]
    found: Runs = {}
    for row in table:
        values = tuple(float(str(row[name])) for name in names)
        its = [
            h for h in histories
            if h["width"] == width and h["mode"] == row.get("mode", "bn_wd")
            and all(np.isclose(float(str(h[n])), v, rtol=ROUNDED) for n, v in zip(names, values, strict=True))
        ]  # fmt: skip
        if its:
            found[values] = its
    return found


def _row(table: Sequence[Row], place: tuple[float, ...]) -> Row:
    return next(row for row in table if (row["learning_rate"], row["weight_decay"]) == place)


def _periodic(row: Row) -> bool:
    """Whether most runs of a row are."""
    return str(row["kind"]).split(" (")[0] == PERIODIC


def _regime(table: Sequence[Row], rate: float) -> str:
    """Of a rate, without the share of its runs."""
    row = next(row for row in table if row["effective_learning_rate"] == rate)
    return str(row["regime"]).split(" (")[0]


def _named(place: tuple[float, ...]) -> str:
    return f"learning rate {place[0]:g}, weight decay {place[1]:g}"


def _colour(rate: float, runs: Runs) -> tuple[float, float, float, float]:
    """Along the rates of the sweep, one after another: they may lie anywhere."""
    place = sorted(runs).index((rate,)) / max(1, len(runs) - 1)
    return matplotlib.colormaps["turbo"](0.05 + 0.9 * place)
