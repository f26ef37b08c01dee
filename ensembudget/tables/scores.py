"""One row an ensemble: every size, every disjoint ensemble, out of every pool."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..records import Score
from ._base import Column, Table, Value
from ._metrics import metric_columns, metric_rules
from ._setting import setting_columns

if TYPE_CHECKING:  # half of what `evaluate` would import, and it has neither
    from ..analysis import Analysis
    from ..scoring.pools import Pool


class ScoreLine(NamedTuple):
    """One ensemble, and its pool where it comes from a study."""

    score: Score
    pool: "Pool | None" = None


def records(subject: "Analysis | Sequence[Score]") -> list[ScoreLine]:
    """Those of an analysis, or of one pool's scores."""
    if isinstance(subject, Sequence):
        return [ScoreLine(score) for score in subject]
    return [
        ScoreLine(score, pool)
        for pool in subject.results.pools
        if pool.scores
        for score in pool.scores.scores
    ]


def cell(line: ScoreLine) -> Value:
    return line.score.cell if line.pool else None


def parameters_total(line: ScoreLine) -> Value:
    return line.score.members * line.pool.stored[0].member.parameters if line.pool else None


METRICS = metric_columns(lambda line, name: line.score.metrics.get(name))

table = Table(
    "scores",
    "Ensembles of every size",
    (
        Column("cell", get=cell, optional=True),
        *setting_columns("pool.planned.setting"),
        Column("width", get="pool.planned.cell.width", optional=True),
        Column("members", "n", "d", get="score.members"),
        Column("replicate", "ensemble", "d", get="score.replicate"),
        Column("parameters_total", get=parameters_total, optional=True),
        *METRICS.before,
        Column("cnll", "CNLL", ".4f", get="score.cnll"),
        Column("cnll_before", "CNLL before", ".4f", get="score.cnll_before"),
        Column("temperature", "T", ".3f", get="score.temperature"),
        Column("temperature_before", "T before", ".3f", get="score.temperature_before"),
        *METRICS.after,
    ),
    rules=(
        metric_rules(),
        "CNLL: NLL at a temperature fitted on one half of the test samples and scored on the other, both"
        " ways, over 5 random halvings; applied after averaging, or before (one temperature for all members'"
        " logits). T is the geometric mean over the 10 fits.",
    ),
    records=records,
    csv_only=True,
)
