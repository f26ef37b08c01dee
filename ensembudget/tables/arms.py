"""Whether another way of training changes the best split: for every budget, each arm against the first."""

from collections.abc import Callable

from ..analysis import Analysis
from ..analysis.arms import AgainstFirst, ArmResult, BestSplit
from ..scoring.comparison import Verdict
from ._base import Column, Table, Value
from ._setting import NAMES, setting_columns
from .memory_split import signed


def best_split(one: ArmResult) -> Value:
    if one.against is None:
        return None
    missing = f"no split of n = {one.against.members}"
    return missing if one.against.best_split == BestSplit.NOT_TRAINED else str(one.against.best_split)


def notes(analysis: Analysis) -> list[str]:
    """One sentence a budget and arm: how it stands against the first, and whether the best split changes."""
    return [_sentence(one, one.against) for one in analysis.arms if one.against]


def _sentence(one: ArmResult, against: AgainstFirst) -> str:
    split = one.split
    return (
        f"At {split.budget:,} {split.budget_kind} the best of {split.setting.label} (n = {split.members}) is"
        f" {_WORDS[against.verdict]} that of {against.arm}: {signed(against.difference)}."
        f" {_SPLITS[against.best_split](against)}."
    )


_WORDS = {
    Verdict.BETTER: "better than",
    Verdict.WORSE: "worse than",
    Verdict.TIE: "tied with",
    Verdict.NOT_JUDGED: "not judged against",
}
_SPLITS: dict[BestSplit, Callable[[AgainstFirst], str]] = {
    BestSplit.SAME: lambda against: "Its best split is the same",
    BestSplit.CHANGED: lambda against: "Its best split is another",
    BestSplit.UNRESOLVED: lambda against: "Its best split is another, but cannot be told from it",
    BestSplit.NOT_JUDGED: lambda against: (
        "Its best split is another, but a pool of one member judges nothing"
    ),
    BestSplit.NOT_TRAINED: lambda against: f"It has no split of n = {against.members} to compare",
}

table = Table(
    "arms",
    "Ways of training side by side: the best split of each",
    (
        Column("budget_kind", get="split.budget_kind"),
        Column("budget", "budget", ",d", get="split.budget"),
        *setting_columns("split.setting"),
        Column("members", "best n", "d", get="split.members"),
        Column("width", "width", "d", get="split.width"),
        Column("cnll", "CNLL", ".4f"),
        Column("advantage", "best minus wide", "+.4f", interval=True, optional=True),
        Column("beside", "first arm", get="against.arm"),
        Column("difference", "minus its best", "+.4f", interval=True, get="against.difference"),
        Column("verdict", "verdict", get="against.verdict"),
        Column("carried", "its n minus best", "+.4f", interval=True, get="against.carried", optional=True),
        Column("same_best", "share with same best n", ".2f", get="against.same_best"),
        Column("split", "best split", get=best_split),
    ),
    rules=(
        "Best n: the n with the lowest CNLL of an arm at a budget, selected on the test set. Minus its best:"
        " this arm's lowest CNLL minus the first arm's. Its n minus best: what this arm loses with the first"
        " arm's best n. Intervals are 95%, over members and, paired, over test samples; those of best minus"
        " wide and of its n minus best know that the best was chosen.",
        "Share with same best n: of draws of all these errors. Best split: 'same' as the first arm's,"
        " 'changed' where the first arm's n loses here by an interval above zero, 'not told apart'"
        " otherwise.",
    ),
    records=lambda analysis: analysis.arms,
    notes=notes,
    order=30,
    summary=(*NAMES, "budget", "members", "difference", "verdict", "split", "cnll", "width", "advantage"),
)
