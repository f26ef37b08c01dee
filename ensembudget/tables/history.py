"""What the first member of every pool recorded, epoch by epoch, rounded."""

import math
from collections.abc import Callable
from typing import NamedTuple

from ..analysis import Analysis
from ..analysis.histories import COLUMNS, History
from ._base import Column, Table, Value

KEY = 12  # characters of the member's key: `members.csv` has it whole
DIGITS = 4  # significant: the store has them all


class HistoryLine(NamedTuple):
    """One row of a history."""

    history: History
    row: int


def records(analysis: Analysis) -> list[HistoryLine]:
    return [HistoryLine(one, row) for one in analysis.histories for row in range(one.rows)]


def rounded(name: str) -> Callable[[HistoryLine], Value]:
    """Reads a recorded value to four digits; None where it is not finite, or was not recorded."""

    def read(line: HistoryLine) -> Value:
        if name not in line.history.columns:
            return None
        value = float(line.history.columns[name][line.row])
        if not math.isfinite(value):
            return None
        whole = value == int(value) and abs(value) < 1e9
        return int(value) if whole else float(f"{value:.{DIGITS}g}")

    return read


table = Table(
    "history",
    "Histories",
    (
        # Text to every reader, even where the key's first characters are all digits.
        Column("key", get=lambda line: f"{line.history.run.key[:KEY]}.."),
        Column("arm", get=lambda line: line.history.arm or None, optional=True),
        Column("mode", get="history.run.cell.mode"),
        Column("width", get="history.run.cell.width"),
        Column("learning_rate", get="history.run.cell.recipe.learning_rate"),
        Column("weight_decay", get="history.run.cell.recipe.weight_decay"),
        *(Column(name, get=rounded(name), optional=True) for name in COLUMNS),
    ),
    records=records,
    csv_only=True,
)
