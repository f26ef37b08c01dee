"""What the figures of a recorded study are drawn from: the history of the first run of every pool."""

import math

from ..scoring.pools import Results
from ._base import Column, Row, Table

NUMBERS = (
    "epoch", "train_loss", "test_error", "norm", "effective_learning_rate", "effective_gradient_norm",
    "cosine_to_start",
)  # fmt: skip

table = Table(
    "history",
    "Histories",
    tuple(Column(name) for name in ("key", "mode", "width", "learning_rate", "weight_decay", *NUMBERS)),
)

KEY = 12  # characters of the member's key: `members.csv` has it whole
DIGITS = 4  # significant: the store has them all


def rows(results: Results) -> list[Row]:
    found: list[Row] = []
    for pool in results.pools:
        for one in pool.stored[:1]:
            history = pool.histories.get(one.member.run.seed)
            if history is None:
                continue
            cell = pool.planned.cell
            who: Row = {
                "key": f"{one.member.run.key[:KEY]}..",  # text to every reader, even if all digits
                "mode": cell.mode,
                "width": cell.width,
                "learning_rate": cell.recipe.learning_rate,
                "weight_decay": cell.recipe.weight_decay,
            }
            columns = [name for name in NUMBERS if name in history]
            for values in history[columns].itertuples(index=False):
                found.append(who | {n: _short(v) for n, v in zip(columns, values, strict=True)})
    return found


def _short(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) and abs(value) < 1e9 else float(f"{value:.{DIGITS}g}")
