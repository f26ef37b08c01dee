"""One row a law: how CNLL falls along members, width and budget."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..laws._fit import fit_points
from ..records import Fit, Split
from ..scoring.pools import Results
from . import plane
from ._base import Column, Row, Table, Value, arm_cell, spread_out

table = Table(
    "power_laws",
    "Power laws",
    (
        Column("arm", "arm"),
        Column("along", "along"),
        Column("at", "at"),
        Column("law"),
        Column("objective"),
        Column("a", "a", ".3f", interval=True),
        Column("b", "b", ".4g", interval=True),
        Column("c", "c", ".4f", interval=True),
        Column("residual", "residual", ".1e"),
        Column("points", "points", "d"),
        Column("smallest", "from", "g"),
        Column("largest", "to", "g"),
        Column("held_out_error", "held-out error", "+.4f"),
        Column("status", "status"),
    ),
    rules=(
        "CNLL = c + b m^a, nats per sample, by least squares; 95% profile intervals from Student's t."
        " Residual: root mean square, nats. Held-out error: prediction minus measurement at the"
        " largest m, from a fit without it.",
        "A law whose status is not ok is no law: its numbers are in the CSV and dashes here.",
        "Sizes of one pool share members, so points along n are not independent; intervals take all"
        " points to scatter alike.",
    ),
    void_unless_ok=("a", "b", "c", "residual", "held_out_error"),
)


class Series(NamedTuple):
    """Points that a law may go through, CNLL along m, and the law."""

    arm: str
    along: str
    at: str
    m: Array
    y: Array
    fit: Fit


def series(results: Results) -> Iterator[Series]:
    """Along members for each width, along width for each n of the study, along the best of budgets."""
    cells = plane.rows(results)
    for arm in results.plan.arms:
        yield from _of_arm(arm, [c for c in cells if c.get("arm", "") == arm], results)


def _of_arm(arm: str, cells: Sequence[Row], results: Results) -> Iterator[Series]:
    for width in [planned.cell.width for planned in results.plan.cells if planned.arm == arm]:
        yield _series(arm, "members", f"width {width}", [c for c in cells if c["width"] == width], "members")
    for size in results.plan.study.members:
        column = [c for c in cells if c["members"] == size]
        if len(column) > 1:
            yield _series(arm, "width", f"n {size}", column, "width")
    best = _best_of_budgets([s for s in results.plan.splits if s.arm == arm], cells)
    if len(best) > 1:
        yield _series(arm, "budget", "best n", best, "budget")


def rows(laws: Sequence[Series]) -> list[Row]:
    return [{**arm_cell(one.arm), **fit_row(one.along, one.at, one.fit)} for one in laws]


def fit_row(along: str, at: str, fit: Fit) -> Row:
    row: Row = {
        "along": along,
        "at": at,
        **fit.model_dump(exclude={"a", "b", "c"}),
    }
    for name in ("a", "b", "c"):
        row |= spread_out(name, getattr(fit, name))
    return row


def _series(arm: str, along: str, at: str, cells: Sequence[Row], column: str) -> Series:
    m, y = (np.array([float(cell[name] or 0) for cell in cells]) for name in (column, "cnll"))
    return Series(arm, along, at, m, y, fit_points(m, y))


def _best_of_budgets(splits: Sequence[Split], cells: Sequence[Row]) -> list[Row]:
    measured = {(c["members"], c["width"]): c["cnll"] for c in cells}
    found: dict[Value, float] = {}
    for split in splits:
        value = measured.get((split.members, split.width))
        if isinstance(value, float):
            found[split.budget] = min(value, found.get(split.budget, value))
    return [{"budget": budget, "cnll": value} for budget, value in found.items()]
