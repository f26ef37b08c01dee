"""One row an ensemble: every size, every disjoint group, out of every pool."""

from ..records import Score
from ..scoring.pools import Results
from ._base import Column, Row, Table, arm_cell

METRICS = tuple(name for name in Score.model_fields if name not in ("cell", "members", "replicate"))

table = Table(
    "scores",
    "Ensembles of every size",
    (
        Column("cell"),
        Column("arm"),
        Column("width"),
        Column("members", "n", "d"),
        Column("replicate", "group", "d"),
        Column("parameters_total"),
        Column("accuracy", "accuracy", ".4f"),
        Column("nll", "NLL", ".4f"),
        Column("cnll", "CNLL", ".4f"),
        Column("cnll_before", "CNLL before", ".4f"),
        Column("temperature", "T", ".3f"),
        Column("temperature_before", "T before", ".3f"),
        Column("brier", "Brier", ".4f"),
        Column("ece", "ECE", ".4f"),
        Column("disagreement", "disagreement", ".4f"),
    ),
    rules=(
        "NLL: of the averaged probabilities, nats per sample. CNLL: the same at a temperature"
        " fitted on one half of the test samples and scored on the other, both ways, 5 random"
        " halvings; applied after averaging, or before (each member's logits, one temperature).",
        "T is the geometric mean over the 10 fits. ECE has 15 bins. Disagreement is over pairs of members.",
    ),
)


def score_row(score: Score) -> Row:
    return {
        "members": score.members,
        "replicate": score.replicate,
        **{name: getattr(score, name) for name in METRICS},
    }


def rows(results: Results) -> list[Row]:
    return [
        {
            "cell": score.cell,
            **arm_cell(pool.planned.arm),
            "width": pool.planned.cell.width,
            "parameters_total": score.members * pool.stored[0].member.parameters,
            **score_row(score),
        }
        for pool in results.pools
        if pool.scores
        for score in pool.scores.scores
    ]
