"""What figures of recorded runs share: a history's columns, and names that tell sweeps apart."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..analysis.histories import History
from ..analysis.periods import PeriodGrid
from ..analysis.regimes import Sweep
from ..arrays import Array
from ..tables.history import HistoryLine, rounded

# What runs of one sweep, or of one grid, differ in.
SWEPT = {"recipe.effective_learning_rate", "recipe.learning_rate", "recipe.weight_decay"}


def column(history: History, name: str) -> Array:
    """A recorded column, rounded as in `history.csv`, so that the CSV alone gives the same figure.

    Returns:
        (row,); NaN where a value is not finite, or was not recorded.
    """
    values = [rounded(name)(HistoryLine(history, row)) for row in range(history.rows)]
    return np.array([np.nan if value is None else value for value in values], np.float64)


def titles(sweeps: Sequence[Sweep | PeriodGrid]) -> list[str]:
    """What tells sweeps apart, in as few words as do: their arms, widths, and other fields of their cells.

    Returns:
        One a sweep; "" where there is but one.
    """
    facts = [{"arm": one.arm} | dict(_facts("", one.cell.model_dump())) for one in sweeps]
    names = dict.fromkeys(name for one in facts for name in one)
    chosen: list[str] = []
    for name in ("arm", "width", *names):
        if name not in SWEPT and _distinct(facts, [*chosen, name]) > _distinct(facts, chosen):
            chosen.append(name)
    return [", ".join(_said(name, one.get(name)) for name in chosen) for one in facts]


def _facts(prefix: str, fields: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Fields of a record and of the records in it, by dotted names."""
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _facts(f"{prefix}{name}.", value)
        else:
            yield prefix + name, value


def _distinct(facts: Sequence[dict[str, Any]], names: Sequence[str]) -> int:
    return len({tuple(repr(one.get(name)) for name in names) for one in facts})


def _said(name: str, value: Any) -> str:
    return str(value) if name == "arm" else f"{name.rpartition('.')[2].replace('_', ' ')} {value}"
