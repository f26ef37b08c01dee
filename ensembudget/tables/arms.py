"""Does another way of training change the best split? For every budget, each arm beside the first."""

from collections.abc import Sequence

import numpy as np

from ..records import Interval, Split
from ..scoring.bootstrap import interval
from ..scoring.comparison import SplitLosses, bootstrap_losses, verdict
from ..scoring.pools import Results
from ._base import Column, Row, Table, spread_out

table = Table(
    "arms",
    "Ways of training side by side: the best split of each",
    (
        Column("budget_kind"),
        Column("budget", "budget", ",d"),
        Column("arm", "arm"),
        Column("members", "best n", "d"),
        Column("width", "width", "d"),
        Column("cnll", "CNLL", ".4f"),
        Column("advantage", "best minus wide", "+.4f", interval=True),
        Column("beside", "beside"),
        Column("difference", "minus its best", "+.4f", interval=True),
        Column("verdict", "verdict"),
        Column("carried", "its n minus best", "+.4f", interval=True),
        Column("same_best", "share with same best n", ".2f"),
        Column("split", "best split"),
    ),
    rules=(
        "Best n: of the lowest CNLL of an arm at a budget, selected on the test set. Beside: the first arm."
        " Minus its best: between the best splits of the two. Its n minus best: what this arm loses with the"
        " other's best n. Intervals are 95%, over members and, paired, over test samples.",
        "Share with same best n: of the draws. Best split: 'same' as the first arm's, 'changed' where its n"
        " loses by an interval above zero here, 'not told apart' otherwise.",
    ),
)


def rows(results: Results) -> list[Row]:
    """Nothing where a study has one arm."""
    if len(results.plan.arms) < 2:
        return []
    found: list[Row] = []
    for budget in sorted({split.budget for split in results.plan.splits}):
        found += _of_budget([s for s in results.plan.splits if s.budget == budget], results)
    return found


def _of_budget(splits: Sequence[Split], results: Results) -> list[Row]:
    found: list[Row] = []
    first: _Arm | None = None
    for arm in results.plan.arms:
        its = [(s, results.pool_of(s).split_losses(s.members)) for s in splits if s.arm == arm]
        scored = [(split, one) for split, one in its if one is not None]
        if not scored:
            continue
        one = _Arm([split for split, _ in scored], [losses for _, losses in scored])
        found.append(one.row | (_beside(one, first) if first else {}))
        if arm == results.plan.arms[0]:
            first = one
    return found


class _Arm:
    """An arm's splits at one budget, with a bootstrap of their losses."""

    def __init__(self, splits: Sequence[Split], losses: Sequence[SplitLosses]) -> None:
        self.splits = splits
        self.means, self.moves = bootstrap_losses(losses)
        self.best = int(self.means.argmin())
        self.lowest = np.array([s.members for s in splits])[(self.means[:, None] + self.moves).argmin(0)]

    @property
    def row(self) -> Row:
        split = self.splits[self.best]
        row: Row = {
            "budget_kind": split.budget_kind,
            "budget": split.budget,
            "arm": split.arm,
            "members": split.members,
            "width": split.width,
            "cnll": float(self.means[self.best]),
        }
        wide = self.index_of(1)
        if wide not in (None, self.best):
            row |= spread_out("advantage", self.minus(self.best, self, wide))
        return row

    def index_of(self, members: int) -> int | None:
        return next((i for i, s in enumerate(self.splits) if s.members == members), None)

    def minus(self, index: int, other: "_Arm", its: int | None) -> Interval:
        assert its is not None
        return interval(float(self.means[index] - other.means[its]), self.moves[index] - other.moves[its])


def _beside(one: _Arm, first: _Arm) -> Row:
    members = first.splits[first.best].members
    difference = one.minus(one.best, first, first.best)
    row: Row = {
        "beside": first.splits[0].arm,
        **spread_out("difference", difference),
        "verdict": verdict(difference),
        "same_best": float((one.lowest == first.lowest).mean()),
    }
    if (there := one.index_of(members)) is None:
        return row | {"split": f"no split of n = {members}"}
    if there == one.best:
        return row | {"split": "same"}
    carried = one.minus(there, one, one.best)
    changed = carried.low is not None and carried.low > 0
    return row | spread_out("carried", carried) | {"split": "changed" if changed else "not told apart"}


def verdicts(table: Sequence[Row]) -> list[str]:
    """One sentence a budget and arm: how it stands beside the first, and whether the best split changes."""
    return [
        f"At {row['budget']:,} {row['budget_kind']} the best of {row['arm']} (n = {row['members']}) is"
        f" {_WORDS[str(row['verdict'])]} that of {row['beside']}: {row['difference']:+.4f}"
        f" [{row['difference_low']:+.4f}, {row['difference_high']:+.4f}]."
        f" {_SPLITS.get(str(row['split'])) or _lacks(row)}."
        for row in table
        if row.get("difference") is not None
    ]


def _lacks(row: Row) -> str:
    return f"It has {row['split']} to compare"


_WORDS = {"better": "better than", "worse": "worse than", "tie": "tied with"}
_SPLITS = {
    "same": "Its best split is the same",
    "changed": "Its best split is another",
    "not told apart": "Its best split is another, but cannot be told from it",
}
