"""The tables that only the command line prints, such as a plan's splits and how many members are trained."""

from collections.abc import Mapping
from dataclasses import replace
from operator import attrgetter

from ..records import Split, said
from ..tables._base import Column, Table
from ..tables._setting import NAMES, setting_columns
from .show import duration

PARTS = Table("parts", "Parts", (Column("name", "name"), Column("about", "about")))

STORED = Table(
    "stored",
    "Members in the store",
    (
        Column("dataset", "dataset", get="cell.dataset"),
        Column("family", "family", get="cell.family"),
        Column("width", "width", "d", get="cell.width"),
        Column("mode", "mode", get="cell.mode"),
        Column("train_size", "training samples", ",d", get="cell.train_size"),
        Column("epochs", "epochs", "d", get="cell.recipe.epochs"),
        Column("done", "done", "d"),
        Column("diverged", "diverged", "d"),
        Column("weights", "with weights", "d"),
        Column("bytes", "bytes", ",d"),
        Column("key", get="cell.key"),
    ),
)

SPACE = Table(
    "space",
    "What takes space in the store",
    (Column("kind", "what"), Column("files", "files", ",d"), Column("bytes", "bytes", ",d")),
)

GARBAGE = Table(
    "garbage",
    "What the store no longer needs",
    (
        Column("path", "path", get=lambda one: str(one.path)),
        Column("why", "why"),
        Column("bytes", "bytes", ",d"),
    ),
)

MERGED = Table(
    "merged",
    "What became of what the other store has",
    (
        Column("kind", "what"),
        Column("name", "name"),
        Column("outcome", "outcome"),
        Column("why", "why"),
    ),
)

SPLITS = Table(
    "plan",
    "Splits",
    (
        *setting_columns(),
        Column("budget_kind", "of"),
        Column("budget", "budget", ",d"),
        Column("members", "members", "d"),
        Column(
            "predictors", "predictors", "d", optional=True,
            get=lambda split: split.predictors if split.predictors_per_member > 1 else None,
        ),
        Column("width", "width", "d"),
        Column("parameters_per_member", "parameters each", ",d"),
        Column(
            "embeddings_per_member", "of them embeddings", ",d", optional=True,
            get=lambda split: split.embeddings_per_member or None,
        ),
        Column("parameters_total", "parameters", ",d"),
        Column("error_percent", "off budget, %", "+.2f"),
        Column("flops_per_sample", "FLOP/sample", ",d"),
        Column("bytes_total", "bytes", ",d"),
        Column("activations_per_sample", "activations", ",d"),
    ),
    summary=(
        *NAMES, "budget", "members", "predictors", "width", "parameters_total", "error_percent",
        "parameters_per_member", "bytes_total", "flops_per_sample",
    ),
)  # fmt: skip


def timed(seconds: Mapping[Split, float]) -> Table:
    """The splits, and how long training one ensemble of each takes."""
    at = next(i for i, column in enumerate(SPLITS.columns) if column.name == "width") + 1
    training = Column("training", "training", get=lambda split: duration(seconds[split]))
    exact = Column("training_seconds", get=lambda split: seconds[split])
    columns = (*SPLITS.columns[:at], training, exact, *SPLITS.columns[at:])
    names = list(SPLITS.summary)
    names.insert(names.index("width") + 1, training.name)
    return replace(SPLITS, columns=columns, summary=tuple(names))


WORK = Table(
    "work",
    "What a run would do",
    tuple(
        Column(name)
        for name in ("planned", "stored", "to_train", "again", "to_round", "to_probe", "flops", "seconds")
    ),
    csv_only=True,
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
    summary=("arm", "train_size", "width", "choice", "combinations", "done", "members"),
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
    summary=(*NAMES, "width", "planned", "done", "diverged", "failed", "seconds_each"),
)

EXPORTED = Table(
    "export",
    "Files",
    (
        Column("format", "format", get=lambda row: row[0]),
        Column("file", "file", get=lambda row: row[1].file),
        Column("tensor_bytes", "tensor bytes", ",d", get=lambda row: row[1].tensor_bytes),
        Column("file_bytes", "file bytes", ",d", get=lambda row: row[1].file_bytes),
        Column("difference", "off the store by", ".1e", get=lambda row: row[1].difference),
    ),
)

FIELDS = Table(
    "fields",
    "What differs besides the numbers",
    (Column("name", "field"), Column("a", "of A"), Column("b", "of B")),
)

UNMATCHED = Table(
    "unmatched",
    "Cells that are not compared",
    (
        Column("side", "side"),
        *setting_columns("place.setting"),
        Column("budget_kind", "of", get="place.budget_kind"),
        Column("budget", "budget", ",d", get="place.budget"),
        Column("width", "width", "d", get="place.width"),
        Column("members", "n", "d", get="place.members"),
        Column("why", "why"),
    ),
)
