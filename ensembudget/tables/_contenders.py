"""What a budget comes to, in a sentence, where splits of several settings stand side by side."""

from collections.abc import Callable

from ..analysis.side_by_side import Contender, Contenders
from ..records import Split
from ..scoring.comparison import Verdict
from .memory_split import signed

WORDS = {Verdict.TIE: "a tie", Verdict.WORSE: "worse", Verdict.NOT_JUDGED: "not judged"}


def sentence(one: Contenders, among: str, axis: str, name: Callable[[Split], str]) -> str:
    """The best of all splits of a budget, and the best of each other setting beside it.

    Args:
        one: The splits.
        among: What the best is chosen from, as "of all arms".
        axis: What the settings differ in, as "arm".
        name: What a split's setting is called.
    """
    label = f"{one.setting.label}: at" if one.setting.label else "At"
    beside = "; ".join(
        f"{_split(row, name)}: {signed(row.compared.above)}, {WORDS[row.compared.best]}"
        for row in one.best_of_each
        if row is not one.best
    )
    return (
        f"{label} {one.budget:,} {one.budget_kind} the best {among} is {_split(one.best, name)}, CNLL"
        f" {one.best.score.cnll.value:.4f}. The best of each other {axis}, minus that: {beside}."
    )


def _split(row: Contender, name: Callable[[Split], str]) -> str:
    split = row.result.split
    units = f" x {split.predictors_per_member}" if split.predictors_per_member > 1 else ""
    return f"{name(split)}, n = {split.members}{units} (width {split.width})"
