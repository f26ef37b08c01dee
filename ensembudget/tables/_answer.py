"""The answer of a report in one sentence, read off the rows of its `memory_split` table.

A budget's differences hold at once, so their lowest has an interval that allows for the choice of n: the
table `map` has the same.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ..records import Interval, Setting
from ..scoring.comparison import Verdict, lowest_difference, verdict
from ._base import Row
from ._setting import NAMES, TUNED

LISTED = 6  # budgets that one sentence can list; of more it counts the winners
SPLIT, WIDE, TIE = "several thinner networks win", "one wide network wins", "a tie"


class Finding(NamedTuple):
    """What one budget and setting comes to.

    Attributes:
        place: The budget and the setting, in words.
        winner: `SPLIT`, `WIDE`, `TIE`, or "" where nothing is judged.
        said: Which split, and by how much.
        by: The size of the difference, nats; 0 where there is none.
    """

    place: str
    winner: str
    said: str
    by: float = 0.0


def answer(rows: Sequence[Row]) -> str:
    """Which split is best at which budget, by how much, or that it is a tie.

    Args:
        rows: As the CSV of the table `memory_split` has them.

    Returns:
        One sentence; "" without rows.

    Example:
        >>> wide = {"budget": 9000, "budget_kind": "parameters", "members": 1, "cnll": 0.5}
        >>> thin = wide | {"members": 2, "cnll": 0.4, "difference": -0.1}
        >>> thin |= {"difference_low": -0.2, "difference_high": -0.05}
        >>> answer([wide, thin]).partition(": ")[2]
        'at 9,000 parameters n = 2 by 0.1000 [0.0500, 0.2000] nats of CNLL.'
    """
    found = findings(rows)
    if not found:
        return ""
    clear = clearest(found)
    said = "; ".join(f"at {one.place} {one.said}" for one in clear)
    between = ": " if len(clear) == len(found) else "; the clearest: "
    return f"{counted(found)}{f'{between}{said}' if said else ''}."


def counted(found: Sequence[Finding]) -> str:
    """Who wins where, in numbers; begins with a capital letter and has no full stop."""
    budgets = len({one.place.partition(" (")[0] for one in found}) == len(found)
    what, where = ("budgets", "at") if budgets else ("cells", "in")
    counts = [(word, sum(one.winner == word for one in found)) for word in (SPLIT, WIDE, TIE)]
    said = [f"{word} {where} {count} of {len(found)} {what}" for word, count in counts if count]
    text = "; ".join(said) or "no split is judged"
    return text[0].upper() + text[1:]


def clearest(found: Sequence[Finding]) -> list[Finding]:
    """Those that a sentence can list: all, or where they are many the one with the largest difference."""
    if len(found) <= LISTED:
        return list(found)
    wins = [one for one in found if one.winner in (SPLIT, WIDE)]
    return [max(wins, key=lambda one: one.by)] if wins else []


def findings(rows: Sequence[Row]) -> list[Finding]:
    """One a budget and setting, in the order of the table."""
    cells: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        key = (row.get("budget"), *(row.get(name) for name in NAMES))
        cells.setdefault(key, []).append(row)
    return [_finding(its) for its in cells.values()]


def _finding(rows: list[Row]) -> Finding:
    place = _place(rows[0])
    scored = [row for row in rows if row.get("cnll") is not None]
    wide = next((row for row in scored if row["members"] == 1), None)
    rivals = [row for row in scored if row is not wide]
    if not scored:
        return Finding(place, "", "nothing can be compared yet")
    if wide is None or not rivals:
        best = min(scored, key=_cnll)
        return Finding(place, "", f"{_split(best)} has CNLL {_cnll(best):.4f}, with nothing to compare")
    thin, gap = min(rivals, key=_cnll), lowest_difference([_difference(row) for row in rivals])
    size, judged = _size(gap), verdict(gap)
    if judged == Verdict.BETTER:
        return Finding(place, SPLIT, f"{_split(thin)} by {size} nats of CNLL", -gap.value)
    if judged == Verdict.WORSE:
        return Finding(place, WIDE, f"{_split(wide)} by {size} nats of CNLL over {_split(thin)}", gap.value)
    tie = judged == Verdict.TIE
    side = "below" if gap.value < 0 else "above"
    said = f"{_split(thin)} is {size} nats {side} n = 1, {'a tie' if tie else 'not judged'}"
    return Finding(place, TIE if tie else "", said, abs(gap.value))


def _place(row: Row) -> str:
    arm, tuned, images, subset, dtype = (row.get(name) for name in NAMES)
    flag = next((key for key, word in TUNED.items() if word == tuned), None)
    size, draw = (None if one is None else int(one) for one in (images, subset))
    label = Setting(str(arm or ""), flag, size, draw, str(dtype or "")).label
    return f"{row['budget']:,} {row['budget_kind']}{f' ({label})' if label else ''}"


def _difference(row: Row) -> Interval:
    """Of a split's CNLL from the wide network's."""
    ends = [
        _number(row, f"difference_{end}")
        for end in ("low", "high")
        if row.get(f"difference_{end}") is not None
    ]
    low, high = ends if len(ends) == 2 else (None, None)
    return Interval(value=_number(row, "difference"), low=low, high=high)


def _size(gap: Interval) -> str:
    """How far a split is from the wide network, with its interval turned to the same side."""
    text, sign = f"{abs(gap.value):.4f}", -1 if gap.value < 0 else 1
    if gap.low is None or gap.high is None:
        return text
    low, high = sorted(sign * end for end in (gap.low, gap.high))
    return f"{text} [{low:.4f}, {high:.4f}]"


def _split(row: Row) -> str:
    return f"n = {row['members']}" + (f" (width {row['width']})" if row.get("width") is not None else "")


def _cnll(row: Row) -> float:
    return _number(row, "cnll")


def _number(row: Row, name: str) -> float:
    value = row[name]
    assert isinstance(value, int | float), f"{name} is {value!r}"
    return value
