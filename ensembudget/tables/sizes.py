"""One row an ensemble size of one pool: means over its disjoint groups, with intervals."""

from torch import Tensor

from ..scoring.bootstrap import interval
from ..scoring.comparison import split_losses
from ..scoring.ensembles import PoolScores
from . import scores
from ._base import Column, Row, Table, spread_out

table = Table(
    "sizes",
    "Ensembles out of one pool",
    (
        Column("members", "n", "d"),
        Column("groups", "groups", "d"),
        Column("accuracy", "accuracy", ".4f", interval=True),
        Column("nll", "NLL", ".4f", interval=True),
        Column("cnll", "CNLL", ".4f", interval=True),
        Column("cnll_before", "CNLL before", ".4f"),
        Column("temperature", "T", ".3f"),
        Column("brier", "Brier", ".4f"),
        Column("ece", "ECE", ".4f"),
        Column("disagreement", "disagreement", ".4f"),
    ),
    rules=(
        *scores.table.rules,
        "Values are means over disjoint groups; intervals are 95%, over members (bootstrap).",
    ),
    about="pool",
)


def rows(logits: Tensor, labels: Tensor, scores: PoolScores) -> list[Row]:
    """Every size from 1 to the pool's.

    Args:
        logits: The pool's, (member, sample, class).
        labels: (sample,).
        scores: Of that pool.
    """
    found: list[Row] = []
    for size, losses in scores.losses.items():
        spread = split_losses(logits, labels, scores, size).spread
        row: Row = {"members": size, "groups": len(losses), "temperature": scores.temperatures[size]}
        for metric in ("accuracy", "nll", "cnll"):
            row |= spread_out(metric, interval(scores.mean(size, metric), spread and getattr(spread, metric)))
        for metric in ("cnll_before", "brier", "ece"):
            row[metric] = scores.mean(size, metric)
        row["disagreement"] = scores.mean(size, "disagreement") if size > 1 else None
        found.append(row)
    return found
