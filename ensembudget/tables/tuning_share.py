"""How much of the advantage of splitting tuning takes, budget by budget and over all."""

from ..analysis import Analysis
from ..analysis.tuning_share import Cells, TuningShare
from ._base import Column, Table, Value
from ._setting import NAMES, setting_columns
from .memory_split import signed


def budget(one: TuningShare) -> Value:
    return one.untuned[0].budget.budget if one.cells == Cells.ONE else None


def notes(analysis: Analysis) -> list[str]:
    """What tuning takes over all cells."""
    return [_sentence(one) for one in analysis.tuning if one.cells != Cells.ONE]


def _sentence(one: TuningShare) -> str:
    arm = one.untuned[0].setting.arm
    where = "all cells" if one.cells == Cells.ALL else "the cells where a split wins untuned"
    said = (
        f"{f'{arm}: over' if arm else 'Over'} {where} ({len(one.untuned)}) the mean advantage is"
        f" {signed(one.before)} untuned and {signed(one.after)} tuned, a difference of"
        f" {signed(one.difference)}"
    )
    if one.share is None:
        return f"{said}; no share, for {one.no_share}."
    return f"{said}: tuning takes {one.share.value:.0%} [{one.share.low:.0%}, {one.share.high:.0%}] of it."


table = Table(
    "tuning_share",
    "What tuning takes from the advantage of splitting",
    (
        *setting_columns("setting"),
        Column("budget_kind", get=lambda one: one.untuned[0].budget.budget_kind),
        Column("budget", "budget", ",d", get=budget),
        Column("cells", "cells"),
        Column("count", "number", "d", get=lambda one: len(one.untuned)),
        Column("advantage_untuned", "advantage untuned", "+.4f", interval=True, get="before"),
        Column("advantage_tuned", "advantage tuned", "+.4f", interval=True, get="after"),
        Column("difference", "tuned minus untuned", "+.4f", interval=True),
        Column("share", "share that tuning takes", ".2f", interval=True),
        Column("no_share", "why no share"),
    ),
    rules=(
        "Advantage: CNLL of the best ensemble of at least two minus that of the wide network, nats per"
        " sample, below zero where a split wins; both recipes choose their own n. Over several cells it is"
        " the mean.",
        "Share: 1 - tuned / untuned, above 1 where tuning turns the sign and below 0 where it adds to the"
        " advantage. It is given where the untuned advantage is below zero by an interval that excludes"
        " zero, with the shares at which zero lies in the 95% interval of tuned - (1 - share) x untuned"
        " (Fieller).",
        "Intervals are over members and test samples, drawn jointly with the choice of n: the lowest of"
        " several is too low by chance, and intervals allow for that. Where tuning chose the study's own"
        " values the pools are the same, and cancel. Cells where a split wins untuned were selected for"
        " that, so their mean advantage is flattered a little; all cells are not.",
    ),
    records=lambda analysis: analysis.tuning,
    notes=notes,
    order=7,
    summary=(
        *NAMES,
        "budget",
        "cells",
        "share",
        "difference",
        "advantage_untuned",
        "advantage_tuned",
        "no_share",
    ),
)
