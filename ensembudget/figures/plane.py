"""CNLL over members and widths, a panel an arm; measured cells carry their number."""

import numpy as np
from matplotlib.figure import Figure

from ..analysis import Analysis
from ._base import Drawing
from ._style import panels


def draw(analysis: Analysis) -> Figure | None:
    cells = analysis.plane
    if not cells:
        return None
    arms = list(dict.fromkeys(cell.arm for cell in cells))
    widths = sorted({cell.width for cell in cells})
    # Powers of two: columns that can be read.
    sizes = sorted({cell.members for cell in cells if cell.members & (cell.members - 1) == 0})
    grids = np.full((len(arms), len(widths), len(sizes)), np.nan)
    for cell in cells:
        if cell.members in sizes:
            grids[arms.index(cell.arm), widths.index(cell.width), sizes.index(cell.members)] = cell.cnll
    figure, found = panels(len(arms), (1.6 + 0.75 * len(sizes) * len(arms), 1.4 + 0.42 * len(widths)))
    low, high = np.nanmin(grids), np.nanmax(grids)
    for axes, arm, grid in zip(found, arms, grids, strict=True):
        image = axes.imshow(grid, origin="lower", cmap="viridis_r", aspect="auto", vmin=low, vmax=high)
        for (i, j), value in np.ndenumerate(grid):
            if np.isfinite(value):
                axes.text(j, i, f"{value:.3f}", ha="center", va="center", fontsize=7,
                          color="white" if value > (low + high) / 2 else "black")  # fmt: skip
        axes.set_xticks(range(len(sizes)), [str(n) for n in sizes])
        axes.set_yticks(range(len(widths)), [str(k) for k in widths])
        axes.grid(visible=False)
        axes.set(xlabel="members n", ylabel="width k")
        axes.set_title(arm or "Calibrated NLL of n members of width k", loc="left", fontsize=9)
    figure.colorbar(image, ax=found, label="nats per sample")
    return figure


figure = Drawing(draw)
