"""Splits of every method side by side: at one budget, what is best of all."""

from collections.abc import Callable

from ..analysis import Analysis
from ..analysis.methods import MethodResult
from ._base import Column, Table
from ._contenders import sentence
from ._setting import NAMES, setting_columns


def records(analysis: Analysis) -> list[MethodResult]:
    return [row for one in analysis.methods for row in one.rows]


def notes(analysis: Analysis) -> list[str]:
    """What each budget comes to: the best of all, and the best of every other arm beside it."""
    return [
        sentence(one.contenders, "of all arms", "arm", lambda split: split.arm) for one in analysis.methods
    ]


def _fact(name: str) -> Callable[[MethodResult], float | None]:
    return lambda row: row.facts[name]


table = Table(
    "methods",
    "Methods at one budget: units of predictors beside whole networks",
    (
        Column("budget_kind", get="result.split.budget_kind"),
        Column("budget", "budget", ",d", get="result.split.budget"),
        *setting_columns("result.split.setting"),
        Column("method", "method"),
        Column("members", "units", "d", get="result.split.members"),
        Column("predictors", "predictors", "d", get="result.split.predictors"),
        Column("width", "width", "d", get="result.split.width"),
        Column("parameters_total", "parameters", ",d", get="result.split.parameters_total"),
        Column("accuracy", "accuracy", ".4f", get=lambda row: row.contender.score.metrics["accuracy"]),
        Column("cnll", "CNLL", ".4f", interval=True, get="contender.score.cnll"),
        Column("difference", "minus wide", "+.4f", interval=True, get="contender.compared.difference"),
        Column("verdict", "vs wide", get="contender.compared.verdict"),
        Column("from_deep", "minus best deep ensemble", "+.4f", interval=True),
        Column("above", "minus best of all", "+.4f", interval=True, get="contender.compared.above"),
        Column("best", "verdict", get="contender.compared.best"),
        Column("frequency_best", "share best", ".2f", get="contender.compared.frequency_best"),
        Column("disagreement", "disagreement in a unit", ".3f", get=_fact("disagreement"), optional=True),
        Column("weight_cosine", "cosine of weights", ".3f", get=_fact("weight_cosine"), optional=True),
        Column("logit_cosine", "cosine of logits", ".3f", get=_fact("logit_cosine"), optional=True),
        Column("radius", "radius", ".3f", get=_fact("radius"), optional=True),
        Column("training_flops", "training FLOP", ".2e"),
        Column("flops_per_sample", get="result.split.flops_per_sample"),
    ),
    rules=(
        "A unit is what one training run gives: one network, or several predictors whose probabilities are"
        " averaged. A split of n units averages all their predictors; the budget pays for all that is stored"
        " of them (`ensembudget ls methods`).",
        "Minus wide: CNLL minus that of one unit of the first arm. Best deep ensemble: the split of"
        " independently trained networks with the lowest CNLL. Verdict: against the lowest CNLL of all arms."
        " All intervals of one column and budget hold at once, 95%, over units and test samples; those of"
        " minus best know that the best was chosen. Arms share starts and count as independent.",
        "Disagreement: share of test images on which two predictors of a unit name different classes."
        " Cosines: between two predictors' vectors of all trained weights, and of all test logits, each"
        " image's less their mean over classes. Radius: how far the points of a tunnel lie from its centre,"
        " in norms of the centre. All are means over pairs or points, and over the units of a pool.",
        "Training FLOP: of the epochs of all units of a split; what a method does after the last epoch (batch"
        " norm's statistics, a tunnel's radius) is not counted.",
    ),
    marked="members",
    records=records,
    notes=notes,
    order=15,
    summary=(
        *NAMES,
        "budget",
        "members",
        "predictors",
        "above",
        "best",
        "cnll",
        "from_deep",
        "width",
        "difference",
        "accuracy",
        "disagreement",
        "method",
    ),
)
