"""What the two figures of sweeps share: the runs of each rate, their line style and colour."""

from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes

from ..analysis import Analysis
from ..analysis.histories import History
from ..analysis.regimes import Sweep
from ..dynamics.regimes import CONVERGENCE, DIVERGENCE, EQUILIBRIUM, OPEN
from ._recorded import titles
from ._style import Colour, side_legend

STYLES = {(CONVERGENCE,): ("-", "solid"), OPEN: ("-.", "dash-dotted"), (EQUILIBRIUM,): ("--", "dashed"),
          (DIVERGENCE,): (":", "dotted")}  # fmt: skip
LINES = {verdict: line for verdicts, (line, _) in STYLES.items() for verdict in verdicts}
LINES_SAID = ", ".join(f"{' or '.join(verdicts)} {word}" for verdicts, (_, word) in STYLES.items())


class SweepRun(NamedTuple):
    """The first run at one rate, and how it is drawn."""

    rate: float
    history: History
    style: str
    colour: Colour


def drawn_sweeps(analysis: Analysis) -> list[tuple[str, list[SweepRun]]]:
    """Every sweep's title with its runs by ascending rate; sweeps without a history are left out."""
    sweeps = [one for one in analysis.sweeps if any(rate.history for rate in one.rates)]
    return [(title, _runs(one)) for title, one in zip(titles(sweeps), sweeps, strict=True)]


def _runs(sweep: Sweep) -> list[SweepRun]:
    there = [(one, one.history) for one in sweep.rates if one.history]
    # Colours go from one rate to the next: rates may lie anywhere.
    places = [0.05 + 0.9 * i / max(1, len(there) - 1) for i in range(len(there))]
    return [
        SweepRun(one.rate, history, LINES[one.regime], matplotlib.colormaps["turbo"](place))
        for (one, history), place in zip(there, places, strict=True)
    ]


def rate_legend(axes: Axes) -> None:
    side_legend(axes, title="effective\nlearning rate", fontsize=7, title_fontsize=7)
