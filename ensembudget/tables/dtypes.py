"""Splits in every dtype side by side: at one budget, what is best of all."""

from ..analysis import Analysis
from ..analysis.side_by_side import Contender
from ._base import Column, Table
from ._contenders import sentence
from ._setting import NAMES, setting_columns


def records(analysis: Analysis) -> list[Contender]:
    return [row for one in analysis.dtypes for row in one.rows]


def notes(analysis: Analysis) -> list[str]:
    """What each budget comes to: the best of all, and the best of every dtype beside it."""
    return [sentence(one, "in any dtype", "dtype", lambda split: split.dtype) for one in analysis.dtypes]


table = Table(
    "dtypes",
    "Splits in every dtype at one budget",
    (
        Column("budget_kind", get="result.split.budget_kind"),
        Column("budget", "budget", ",d", get="result.split.budget"),
        *setting_columns("result.split.setting"),
        Column("members", "n", "d", get="result.split.members"),
        Column("width", "width", "d", get="result.split.width"),
        Column("parameters_total", "parameters", ",d", get="result.split.parameters_total"),
        Column("bytes_total", "bytes", ",d", get="result.split.bytes_total"),
        Column("cnll", "CNLL", ".4f", interval=True, get="score.cnll"),
        Column("difference", "minus wide, first dtype", "+.4f", interval=True, get="compared.difference"),
        Column("verdict", "vs wide, first dtype", get="compared.verdict"),
        Column("above", "minus best of all", "+.4f", interval=True, get="compared.above"),
        Column("best", "vs best of all", get="compared.best"),
        Column("frequency_best", "share best", ".2f", get="compared.frequency_best"),
        Column("best_of_dtype", get=lambda row: "yes" if row.best_of_its else "no"),
    ),
    rules=(
        "Networks are trained in float32. Their weights are then stored in the dtype and read back; losses"
        " are of the rounded networks. Bytes are of all that is stored, scales among it (`ensembudget ls"
        " dtypes`).",
        "Minus wide, first dtype: CNLL minus that of the wide network in the first dtype that has one."
        " All intervals of a budget hold at once, 95%, over members and test samples. The best of all was"
        " chosen for being lowest, and the intervals of minus best of all know it. Splits of one width are of"
        " the same trained members and count as independent.",
    ),
    marked="members",
    records=records,
    notes=notes,
    order=14,
    summary=(
        *NAMES,
        "budget",
        "members",
        "above",
        "best",
        "cnll",
        "bytes_total",
        "width",
        "difference",
        "verdict",
    ),
)
