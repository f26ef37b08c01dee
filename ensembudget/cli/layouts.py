"""The tables that only the command line prints: a plan's splits, and how far its members are."""

from operator import attrgetter

from ..records import said
from ..tables._base import Column, Table
from ..tables._setting import setting_columns

SPLITS = Table(
    "plan",
    "Splits",
    (
        *setting_columns(),
        Column("budget_kind", "of"),
        Column("budget", "budget", ",d"),
        Column("members", "members", "d"),
        Column("width", "width", "d"),
        Column("parameters_per_member", "parameters each", ",d"),
        Column("parameters_total", "parameters", ",d"),
        Column("error_percent", "off budget, %", "+.2f"),
        Column("flops_per_sample", "FLOP/sample", ",d"),
        Column("bytes_total", "bytes", ",d"),
        Column("activations_per_sample", "activations", ",d"),
    ),
)

TUNING = Table(
    "tuning",
    "Tuning: members that choose, on the validation images",
    (
        Column("arm", "arm", get=lambda row: row.tuning.arm or None, optional=True),
        Column("train_size", "images", ",d", get="tuning.images"),
        Column("width", "width", "d", get="tuning.width"),
        Column("combinations", "combinations", "d", get=lambda row: len(row.tuning.combinations)),
        Column("members", "members at most", "d"),
        Column("done", "done", "d"),
        Column("flops", "FLOP at most", ".2g"),
        Column(
            "choice", "choice", get=lambda row: said(row.tuning.chosen.values) if row.tuning.chosen else None
        ),
    ),
)

STATUS = Table(
    "status",
    "Members",
    (
        *setting_columns("planned.setting"),
        Column("family", "family", get=attrgetter("planned.cell.family")),
        Column("width", "width", "d", get=attrgetter("planned.cell.width")),
        Column("hyperparameters", "hyperparameters", get="planned.hyperparameters"),
        Column("planned", "planned", "d", get=attrgetter("planned.members")),
        Column("done", "done", "d"),
        Column("diverged", "diverged", "d"),
        Column("failed", "failed", "d"),
        Column("seconds_each", "seconds each", ".1f"),
    ),
)
