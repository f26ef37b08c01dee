"""The wedge model of a loss landscape (`ensembudget.landscape`), drawn: cuts of it, and paths through it.

    python examples/wedge.py [DIR]     # writes three figures to DIR, or to wedge/; several seconds

Source: Fort & Jastrzebski 2019, arXiv:1906.04724.
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ensembudget.arrays import Array
from ensembudget.figures._style import STYLE, panels, scale, side_legend
from ensembudget.landscape.wedge import connect, expected_at_meeting, short_directions, wedge_loss
from ensembudget.landscape.wedge_cuts import THICKNESS, Cut, cut_table, minimise_in_cut, random_cut
from ensembudget.rendering.write import open_folder, write_figure


def surfaces(dimension: int = 30, seed: int = 0) -> Figure:
    """The loss over one random plane, for wedges that meet it in lines, in points and not at all."""
    cut = random_cut(dimension, 2, np.random.default_rng(seed))
    ends = np.linspace(-4, 4, 301)
    points = cut.origin + np.stack(np.meshgrid(ends, ends), -1) @ cut.basis
    figure, row = panels(3, (10, 4.4))
    for axes, short, meet in zip(row, (1, 2, 10), ("on lines", "at points", "nowhere"), strict=True):
        loss = wedge_loss(points, dimension - short)
        image = axes.imshow(loss, extent=(-4, 4, -4, 4), origin="lower", norm=PowerNorm(0.5, 0))
        axes.grid(visible=False)
        axes.set(title=f"n = {dimension - short}, D = {dimension}: loss 0 {meet}", xlabel="first coordinate")
        label = "loss: distance to the nearest wedge"
        figure.colorbar(image, ax=axes, location="bottom", ticks=MaxNLocator(4), label=label)
    row[0].set_ylabel("second coordinate of the plane")
    return figure


def limits(repeats: int, dimension: int = 40, wedges: tuple[int, ...] = (10, 20, 30)) -> Figure:
    """The share of random cuts that meet a wedge, and the lowest loss in them, against their dimension."""
    table = cut_table(dimension, wedges, repeats, seed=0)
    figure, (shares, losses) = panels(2, (10, 3.6))
    for n, colour in zip(wedges, scale(len(wedges)), strict=True):
        rows = [one for one in table if one.wedge == n]
        cuts = [one.cut for one in rows]
        shares.plot(cuts, [one.succeeded for one in rows], "o-", color=colour, label=f"n = {n}")
        shares.plot(
            cuts, [one.descent_succeeded for one in rows], "s--", color=colour, markerfacecolor="white"
        )
        below = [one for one in rows if one.cut < one.limit]
        losses.plot([one.cut for one in below], [one.reached for one in below], "o-", color=colour)
        losses.plot(cuts, [one.descent_reached for one in rows], "s--", color=colour, markerfacecolor="white")
        for axes in (shares, losses):
            axes.axvline(rows[0].limit, color=colour, linestyle=":")
    shares.plot([], [], "o-", color="black", label="least squares")
    shares.plot(
        [], [], "s--", color="black", markerfacecolor="white", label=f"{table[0].steps} steps\nof descent"
    )
    shares.plot([], [], ":", color="black", label="d = D - n")
    shares.set(ylabel="share of cuts that meet a wedge")
    losses.set(ylabel="lowest loss in a cut, median", yscale="log", ylim=(THICKNESS, 2))
    for axes in (shares, losses):
        axes.set(xlabel=f"dimension d of the cut (D = {dimension})")
    side_legend(shares)
    return figure


def paths(dimension: int = 60, n: int = 50, segments: int = 12, seed: int = 0) -> Figure:
    """The loss and the short directions along three paths between points in two wedges."""
    generator = np.random.default_rng(seed)
    first, second = generator.standard_normal((2, dimension))
    for point in (first, second):
        point[generator.permutation(dimension)[n:]] = 0
    drawn = {
        "straight line": np.stack([first, second]),
        f"minimised in {segments - 1}\nnormal hyperplanes": minimised(first, second, n, segments),
        "through the meeting": connect(first, second, n),
    }
    figure, (losses, counts) = panels(2, (10, 3.4))
    for (label, corners), colour, width in zip(drawn.items(), scale(3)[::-1], (3.5, 1.5, 1.5), strict=True):
        positions, points = along(corners)
        losses.plot(positions, wedge_loss(points, n), color=colour, linewidth=width, label=label)
        counts.plot(positions, short_directions(points, n, 1e-9), color=colour, linewidth=width, label=label)
    expected = expected_at_meeting(dimension, n)
    counts.axhline(expected, color="black", linestyle=":", label="expected where\nrandom wedges meet")
    losses.set(ylabel="loss: distance to the nearest wedge")
    counts.set(ylabel=f"short directions (s = {dimension - n})", ylim=(0, 2 * (dimension - n)))
    counts.yaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (losses, counts):
        axes.set_xlabel("position along the path, share of its length")
    side_legend(counts)
    return figure


def minimised(first: Array, second: Array, n: int, segments: int) -> Array:
    """The paper's 1-connector: the lowest points of hyperplanes at right angles to the line, joined up."""
    line = second - first
    turned, _ = np.linalg.qr(line[:, None], mode="complete")
    middle = [
        minimise_in_cut(Cut(first + share * line, turned[:, 1:].T), n).point
        for share in np.arange(1, segments) / segments
    ]
    return np.stack([first, *middle, second])


def along(corners: Array, samples: int = 601) -> tuple[Array, Array]:
    """Points on a path of straight lines, corners among them, and their share of its length."""
    lengths = np.linalg.norm(np.diff(corners, axis=0), axis=1)
    at = np.concatenate([[0], np.cumsum(lengths)]) / lengths.sum()
    shares = np.union1d(np.linspace(0, 1, samples), at)
    return shares, np.stack([np.interp(shares, at, axis) for axis in corners.T], -1)


def main(folder: str | Path = "wedge", *, repeats: int = 20) -> None:
    out = open_folder(folder)
    with matplotlib.rc_context(STYLE):
        figures = {"surfaces": surfaces(), "limits": limits(repeats), "paths": paths()}
    for name, figure in figures.items():
        write_figure(out, name, figure)
    print(f"{', '.join(figures)}: {out}")


if __name__ == "__main__":
    main(*sys.argv[1:])
