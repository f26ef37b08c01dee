"""CNLL over members and widths, a panel a setting; measured cells carry their number."""

import numpy as np
from matplotlib.figure import Figure

from ..analysis import Analysis
from ._base import Drawing
from ._style import panel_rows

ROW = 4  # panels in a row


def draw(analysis: Analysis) -> Figure | None:
    cells = analysis.plane
    if not cells:
        return None
    settings = list(dict.fromkeys(cell.setting for cell in cells))
    widths = sorted({cell.width for cell in cells})
    # Powers of two: columns that can be read.
    sizes = sorted({cell.members for cell in cells if cell.members & (cell.members - 1) == 0})
    grids = np.full((len(settings), len(widths), len(sizes)), np.nan)
    for cell in cells:
        if cell.members in sizes:
            grids[settings.index(cell.setting), widths.index(cell.width), sizes.index(cell.members)] = (
                cell.cnll
            )
    rows = -(-len(settings) // ROW)
    columns = -(-len(settings) // rows)
    size = 1.6 + 0.75 * len(sizes) * columns, 1.4 + 0.42 * len(widths)
    figure, grid_of_axes = panel_rows(rows, columns, size)
    found = [axes for row in grid_of_axes for axes in row]
    low, high = np.nanmin(grids), np.nanmax(grids)
    for axes, setting, grid in zip(found, settings, grids, strict=False):
        image = axes.imshow(grid, origin="lower", cmap="viridis_r", aspect="auto", vmin=low, vmax=high)
        for (i, j), value in np.ndenumerate(grid):
            if np.isfinite(value):
                axes.text(j, i, f"{value:.3f}", ha="center", va="center", fontsize=7,
                          color="white" if value > (low + high) / 2 else "black")  # fmt: skip
        axes.set_xticks(range(len(sizes)), [str(n) for n in sizes])
        axes.set_yticks(range(len(widths)), [str(k) for k in widths])
        axes.grid(visible=False)
        axes.set(xlabel="members n", ylabel="width k")
        axes.set_title(setting.label or "Calibrated NLL of n members of width k", loc="left", fontsize=9)
    for axes in found[len(settings) :]:
        axes.remove()
    figure.colorbar(image, ax=found[: len(settings)], label="nats per sample")
    return figure


figure = Drawing(draw)
