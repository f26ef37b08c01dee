"""Two result sets side by side: one row a cell that both have, B minus A."""

from collections.abc import Callable

from ..analysis.two_results import ComparedCell, Comparison, Pairing
from ..records import Interval
from ..scoring.differences import MEASURES
from ..scoring.pools import Results
from ._base import Column, Table, Value
from ._setting import NAMES, setting_columns
from .memory_split import signed

CNLL = "cnll"
HEADINGS = {"cnll": "CNLL", "nll": "NLL", "accuracy": "accuracy"}


def verdict(one: ComparedCell) -> Value:
    """Of B's CNLL against A's."""
    return "same" if one.pairing == Pairing.SAME else one.verdicts[CNLL]


def also(one: ComparedCell) -> Value:
    """The other measures in which the sides differ, in words; None where there are none."""
    words = [f"{HEADINGS[name]} {one.verdicts[name]}" for name in one.differing if name != CNLL]
    return ", ".join(words) or None


def conclusion(comparison: Comparison) -> str:
    """Whether the two differ, in how many cells and where, in one sentence."""
    cells, differing = comparison.cells, comparison.differing
    if comparison.is_same:
        return f"A and B have the same members in {_count(len(cells))}: every difference is zero."
    lone = [one for one in cells if not one.is_judged]
    unjudged = f" {_count(len(lone))} not judged: a pool of one member shows no spread." if lone else ""
    if not differing:
        return f"No difference in {_count(len(cells) - len(lone))}: every interval holds zero.{unjudged}"
    said = "; ".join(_difference(one) for one in differing)
    return f"A and B differ in {len(differing)} of {_count(len(cells))}: {said}.{unjudged}"


def _difference(one: ComparedCell) -> str:
    each = (
        f"{HEADINGS[name]} {signed(one.differences[name])}, {one.verdicts[name]}" for name in one.differing
    )
    return f"at {one.place.words} B minus A is {' and '.join(each)}"


def _count(cells: int) -> str:
    return f"{cells} cell{'s' * (cells != 1)}"


def notes(comparison: Comparison) -> list[str]:
    """What it comes to, what A and B are, what is partial or left out, and what they differ in."""
    found = [conclusion(comparison), f"A is {_who(comparison.a)}; B is {_who(comparison.b)}."]
    for name, results in (("A", comparison.a), ("B", comparison.b)):
        if results.partial:
            lacking = sum(pool.missing for pool in results.distinct)
            found.append(f"PARTIAL: {name} lacks {lacking} of its planned members; numbers will change.")
        if results.plan.study.first_look:
            found.append(
                f"FIRST LOOK: {name} has {results.plan.study.first_look} in place of the study's own."
            )
        if diverged := sum(pool.diverged for pool in results.distinct):
            found.append(f"{diverged} members of {name} have diverged and are in no ensemble.")
    if comparison.unmatched:
        each = [f"{one.side} at {one.place.words} ({one.why})" for one in comparison.unmatched]
        found.append(f"Not compared: {'; '.join(each)}.")
    if comparison.fields:
        each = [f"{one.name} ({one.a or 'none'} in A, {one.b or 'none'} in B)" for one in comparison.fields]
        found.append(f"They differ in {'; '.join(each)}.")
    return found


def _who(results: Results) -> str:
    pools = results.distinct
    done = sum(len(pool.trained) for pool in pools)
    return f"{done} members of study {results.plan.study.name} on {pools[0].planned.cell.dataset}"


def _of_side(side: str, name: str) -> Callable[[ComparedCell], Interval]:
    return lambda one: (one.a if side == "a" else one.b).values[name]


def _verdict_of(name: str) -> Callable[[ComparedCell], Value]:
    return verdict if name == CNLL else lambda one: one.verdicts[name]


def _measure(name: str) -> tuple[Column, ...]:
    """Columns of one measure: of A, of B, the difference and its verdict."""
    heading = HEADINGS[name]
    return (
        Column(f"{name}_a", f"{heading} of A", ".4f", interval=True, get=_of_side("a", name)),
        Column(f"{name}_b", f"{heading} of B", ".4f", interval=True, get=_of_side("b", name)),
        Column(
            f"{name}_difference", f"{heading}, B minus A", "+.4f", interval=True,
            get=lambda one: one.differences[name],
        ),
        Column(f"{name}_verdict", "B vs A" if name == CNLL else "", get=_verdict_of(name)),
    )  # fmt: skip


table = Table(
    "comparison",
    "Two results side by side: B against A",
    (
        *setting_columns("place.setting"),
        Column("budget_kind", get=lambda one: one.place.budget_kind or None, optional=True),
        Column("budget", "budget", ",d", get="place.budget", optional=True),
        Column("members", "n", "d", get="place.members"),
        Column("width_a", "width of A", "d", get="a.pool.planned.cell.width"),
        Column("width_b", "width of B", "d", get="b.pool.planned.cell.width"),
        Column("ensembles_a", "ensembles of A", "d", get="a.ensembles"),
        Column("ensembles_b", "ensembles of B", "d", get="b.ensembles"),
        *_measure(CNLL),
        Column("also", "also", get=also),
        *(column for name in MEASURES if name != CNLL for column in _measure(name)),
        Column("pairing", "members", get="pairing"),
    ),
    rules=(
        "B minus A: below zero B is better in CNLL and NLL, above zero in accuracy. Intervals of differences"
        " are 95%, over members and, paired, over test samples, and those of all cells and all three measures"
        " hold at once: were A and B equal, one of them would exclude zero in at most 5% of comparisons."
        " Better and worse are outside them. Those of A and of B alone are over members, each by itself.",
        "Members: 'same members' are equal to the last bit; 'paired' are the same runs trained twice, and"
        " what a seed does to both is no error of their difference; 'other members' share nothing; of 'some"
        " shared' intervals are wider than they need be.",
    ),
    records=lambda comparison: comparison.cells,
    notes=notes,
    about="comparison",
    summary=(
        *NAMES, "budget", "members", "cnll_difference", "cnll_verdict", "also", "pairing", "cnll_a", "cnll_b",
        "width_a", "width_b", "accuracy_difference",
    ),
)  # fmt: skip
