"""One row an ensemble size of one pool: means over its disjoint ensembles, with intervals."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from ..records import Interval
from ..scoring.ensembles import PoolScores
from ..scoring.standard_errors import cnll_interval, mean_metrics, member_errors
from ..threads import torch_threads
from . import scores
from ._base import Column, Table
from ._metrics import metric_columns


@dataclass(frozen=True)
class SizeResult:
    """One ensemble size.

    Attributes:
        members: Of an ensemble.
        groups: How many disjoint ensembles the pool holds.
        metrics: Means by name; None where an ensemble of that size has none.
        cnll: Calibrated NLL, temperature after averaging, nats per sample.
        cnll_before: Temperature before averaging.
        temperature: Geometric mean over the cross-fits.
    """

    members: int
    groups: int
    metrics: Mapping[str, Interval | None]
    cnll: Interval
    cnll_before: float
    temperature: float


@torch_threads(1)
def size_results(
    logits: Tensor,
    labels: Tensor,
    scores: PoolScores,
    on_share: Callable[[float], None] = lambda share: None,
) -> list[SizeResult]:
    """Every size from 1 to the pool's.

    Args:
        logits: The pool's, (member, sample, class).
        labels: (sample,).
        scores: Of that pool.
        on_share: Called with the share that is done, as the work goes on.
    """
    found = []
    # NumPy computes outside Python's lock, so sizes are computed side by side.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for one in threads.map(partial(_result, logits, labels, scores), scores.losses):
            found.append(one)
            on_share(len(found) / len(scores.losses))
    return found


def _result(logits: Tensor, labels: Tensor, scores: PoolScores, size: int) -> SizeResult:
    errors = member_errors(logits, labels, scores, size)
    return SizeResult(
        members=size,
        groups=len(scores.losses[size]),
        metrics=mean_metrics(scores, size, errors),
        cnll=cnll_interval(scores.mean(size, "cnll"), errors),
        cnll_before=scores.mean(size, "cnll_before"),
        temperature=scores.temperatures[size],
    )


def notes(found: Sequence[SizeResult]) -> list[str]:
    """Why there are no intervals, where there are none."""
    if len(found) > 1:
        return []
    return ["No intervals: a pool of one member does not show how members vary."]


def _metric(one: SizeResult, name: str) -> Any:
    return one.metrics.get(name)


METRICS = metric_columns(_metric, intervals=True)

table = Table(
    "sizes",
    "Ensembles out of one pool",
    (
        Column("members", "n", "d"),
        Column("groups", "disjoint ensembles", "d"),
        *METRICS.before,
        Column("cnll", "CNLL", ".4f", interval=True),
        Column("cnll_before", "CNLL before", ".4f"),
        Column("temperature", "T", ".3f"),
        *METRICS.after,
    ),
    rules=(
        *scores.table.rules,
        "Values are means over disjoint ensembles. Intervals are Student's, 95%, over members at these test"
        " samples.",
    ),
    notes=notes,
    about="pool",
    summary=("members", "cnll", "accuracy", "nll", "groups", "temperature"),
)
