"""Learning curves of studies, from the members in a store."""

import contextlib
from collections.abc import Sequence
from typing import NamedTuple

from ..analysis.curve_ranks import JudgedRanks, judged_ranks
from ..analysis.learning_curves import LearningCurves
from ..analysis.measured_curves import CurveSource, learning_curves
from ..analysis.plane import MeasuredPlane, measured_plane
from ..errors import FitError
from ..records import Plan
from ..scoring.pools import Results
from ..store import Store
from .evaluate import evaluate

LEAST_REPORTED = 3  # data sizes: two to fit, and one to judge at
REPORTED = ("cnll", "error")


class JudgedStudies(NamedTuple):
    """What tables and figures of learning curves are made from."""

    curves: tuple[JudgedRanks, ...]


def study_curves(plans: Sequence[Plan], store: Store, metric: str) -> LearningCurves:
    """The learning curves of the models of some studies, from the members in a store.

    Args:
        plans: Of studies on one dataset.
        store: Where their members are.
        metric: `cnll`, `nll` or `error`.

    Raises:
        IncompleteError: A study has no member yet.
        StoreError: A member is damaged.
        FitError: The studies cannot be compared.
    """
    found = [evaluate(plan, store, allow_partial=True) for plan in plans]
    return learning_curves([CurveSource(one, measured_plane(one)) for one in found], [metric])[0]


def missing_of(plans: Sequence[Plan], store: Store) -> list[str]:
    """A sentence for every study that lacks members."""
    counts = [(plan, sum(run.key not in store for run in plan.runs)) for plan in plans]
    return [
        f"PARTIAL: study {plan.study.name!r} lacks {count} of {len(plan.runs)} members; numbers will change."
        for plan, count in counts
        if count
    ]


def report_curves(results: Results, plane: MeasuredPlane) -> tuple[JudgedRanks, ...]:
    """CNLL and error of a study with at least three data sizes, judged at the largest; else nothing.

    Fitted are the sizes up to an eighth of it; the two smallest where there are fewer.
    """
    sizes = {pool.planned.cell.train_size for pool in results.pools if pool.scores is not None}
    if len(sizes) < LEAST_REPORTED:
        return ()
    found = []
    for curves in learning_curves([CurveSource(results, plane)], REPORTED):
        # Part of a study may have no model at enough sizes, or none that still errs.
        with contextlib.suppress(FitError):
            found.append(judged_ranks(curves, strict=False))
    return tuple(found)
