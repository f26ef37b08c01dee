"""Whether curves fitted at small data sizes rank models as full training does, by every law and by none."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from ..arrays import Array
from ..catalog import LAWS
from ..records import Interval
from ..scoring.comparison import Verdict
from .curve_fits import JudgedCurves, ends_of, judge, solved
from .learning_curves import DRAWS, CurveModel, LearningCurves

ALL = "all models"
OVER_BUDGETS = "splits, mean over budgets"
NO_LAW = "none"  # models are ranked by their values at the largest size that laws are fitted to
LEAST_RANKED = 3  # models: two are either in order or not
LEAST_NETWORKS = 6  # for a bootstrap over networks


@dataclass(frozen=True)
class RankResult:
    """How one law ranks some models.

    Attributes:
        metric: Of the curves.
        group: Which models, or a mean over several groups.
        law: The law's name, or `NO_LAW`.
        models: How many.
        refused: Models whose law is refused; they are ranked by it all the same.
        largest: Training images of the largest size that is fitted.
        at: Training images of the size that is judged at.
        rmse: Root mean square of predicted minus measured.
        spearman: Rank correlation of predicted and measured values. Its interval is over fresh members.
        over_models: The same value with an interval over networks that might have been taken instead; None
            where there are too few.
        over_no_law: The rank correlation minus that of no law, over fresh members; None for no law itself.
        verdict: Of that difference.
        chosen: The model that is predicted to be best; None for a mean over groups.
        regret: How far the chosen model is above the best in what was measured.
    """

    metric: str
    group: str
    law: str
    models: int
    refused: int
    largest: float
    at: float
    rmse: Interval
    spearman: Interval
    over_models: Interval | None
    over_no_law: Interval | None
    verdict: Verdict | None
    chosen: CurveModel | None
    regret: float


class JudgedRanks(NamedTuple):
    """The curves of one metric, judged at the largest size, and how every law ranks their models there."""

    judged: JudgedCurves
    ranks: tuple[RankResult, ...]


@dataclass(frozen=True)
class _Ranked:
    """What one law says of a group's models.

    Attributes:
        law: Its name, or `NO_LAW`.
        predicted: (draw, model), the values themselves first.
        measured: (draw, model), likewise.
    """

    law: str
    predicted: Array
    measured: Array

    @property
    def correlations(self) -> Array:
        return spearman(self.predicted, self.measured)

    @property
    def errors(self) -> Array:
        found: Array = np.sqrt(((self.predicted - self.measured) ** 2).mean(1))
        return found

    @property
    def regret(self) -> float:
        measured = self.measured[0]
        return float(measured[self.predicted[0].argmin()] - measured.min())


def judged_ranks(
    curves: LearningCurves, from_at_most: float | None = None, *, strict: bool = True
) -> JudgedRanks:
    """Curves judged as by `judge`, and their ranks.

    Raises:
        FitError: As `judge`.
    """
    judged = judge(curves, from_at_most, strict=strict)
    return JudgedRanks(judged, rank_results(judged))


def rank_results(judged: JudgedCurves) -> tuple[RankResult, ...]:
    """All models, the splits of every budget, and the mean over budgets: by no law, and by every law."""
    predictions = _predictions(judged)
    groups = {ALL: tuple(range(len(judged.curves.models)))}
    groups |= {group.name: group.rows for group in judged.curves.budgets}
    groups = {name: rows for name, rows in groups.items() if len(rows) >= LEAST_RANKED}
    found: list[RankResult] = []
    for name, rows in groups.items():
        found += _of_group(judged, predictions, name, rows)
    budgets = [rows for name, rows in groups.items() if name != ALL]
    if len(budgets) > 1:
        found += _over_budgets(judged, predictions, budgets)
    return tuple(found)


def spearman(one: Array, other: Array) -> Array:
    """Spearman's rank correlation along the last axis; 0 where all values of a row are equal.

    >>> spearman(np.array([[1.0, 2, 3], [1, 2, 3]]), np.array([[10.0, 20, 30], [20, 10, 30]]))
    array([1. , 0.5])
    """
    ranks = [rankdata(values, axis=-1) for values in (one, other)]
    x, y = (rank - rank.mean(-1, keepdims=True) for rank in ranks)
    total = np.sqrt((x * x).sum(-1) * (y * y).sum(-1))
    found: Array = np.divide((x * y).sum(-1), total, out=np.zeros(total.shape), where=total > 0)
    return found


def _with_draws(curves: LearningCurves) -> Array:
    """The values, and then their draws, (1 + draw, model, size); the values alone where nothing is known."""
    if curves.unknown:
        return curves.values[None]
    return np.concatenate([curves.values[None], curves.drawn])


def _predictions(judged: JudgedCurves) -> dict[str, Array]:
    """By law what it predicts of every model, (1 + draw, model); laws that need more sizes are left out."""
    curves, values = judged.curves, _with_draws(judged.curves)
    rows = range(len(curves.models))
    found = {NO_LAW: np.stack([values[:, row, judged.fitted(row)[-1]] for row in rows], 1)}
    for name, fits in judged.fits.items():
        if any(one.predicted is None for one in fits):
            continue
        at = np.array([judged.at])
        parts = [
            solved(LAWS[name], curves, own, values[:, row, own], at)[:, 0]
            for row in rows
            for own in [judged.fitted(row)]
        ]
        found[name] = np.stack(parts, 1)
    return found


def _ranked(judged: JudgedCurves, predictions: Mapping[str, Array], rows: Sequence[int]) -> list[_Ranked]:
    measured = _with_draws(judged.curves)[:, rows, judged.judged]
    return [_Ranked(name, values[:, rows], measured) for name, values in predictions.items()]


def _of_group(
    judged: JudgedCurves, predictions: Mapping[str, Array], name: str, rows: Sequence[int]
) -> Iterator[RankResult]:
    ranked = _ranked(judged, predictions, rows)
    models = [judged.curves.models[row] for row in rows]
    for one in ranked:
        yield _result(
            judged,
            [one],
            [ranked[0]],
            group=name,
            refused=_refused(judged, one.law, rows),
            over_models=_over_networks(one, models),
            chosen=models[one.predicted[0].argmin()],
        )


def _over_budgets(
    judged: JudgedCurves, predictions: Mapping[str, Array], budgets: Sequence[Sequence[int]]
) -> Iterator[RankResult]:
    by_budget = [_ranked(judged, predictions, rows) for rows in budgets]
    for its in zip(*by_budget, strict=True):
        yield _result(
            judged,
            its,
            [ranked[0] for ranked in by_budget],
            group=OVER_BUDGETS,
            refused=sum(_refused(judged, its[0].law, rows) for rows in budgets),
        )


def _result(
    judged: JudgedCurves,
    its: Sequence[_Ranked],
    without: Sequence[_Ranked],
    *,
    group: str,
    refused: int,
    over_models: Interval | None = None,
    chosen: CurveModel | None = None,
) -> RankResult:
    """Means over one group or several, each beside the same without a law."""
    law = its[0].law
    correlations = np.mean([one.correlations for one in its], 0)
    difference = None
    if law != NO_LAW:
        difference = _interval(correlations - np.mean([one.correlations for one in without], 0), -2, 2)
    return RankResult(
        metric=judged.curves.metric,
        group=group,
        law=law,
        models=sum(one.measured.shape[1] for one in its),
        refused=refused,
        largest=judged.largest,
        at=judged.at,
        rmse=_interval(np.sqrt(np.mean([one.errors**2 for one in its], 0)), lowest=0),
        spearman=_interval(correlations, -1, 1),
        over_models=over_models,
        over_no_law=difference,
        verdict=_verdict(difference) if difference else None,
        chosen=chosen,
        regret=float(np.mean([one.regret for one in its])),
    )


def _interval(values: Array, lowest: float = -math.inf, highest: float = math.inf) -> Interval:
    """A value with an interval that reaches as far as 95% of its draws, on either side.

    Noise lowers a rank correlation, so draws lie below the value as the value lies below the truth.
    """
    value = float(values[0])
    drawn = ends_of(value, values[1:] if len(values) > 1 else None)
    if drawn.low is None or drawn.high is None:
        return drawn
    reach = max(value - drawn.low, drawn.high - value)
    return Interval(value=value, low=max(lowest, value - reach), high=min(highest, value + reach))


def _verdict(difference: Interval) -> Verdict:
    """Whether a law ranks better than none: here more is better."""
    if difference.low is None or difference.high is None:
        return Verdict.NOT_JUDGED
    if difference.low <= 0 <= difference.high:
        return Verdict.TIE
    return Verdict.BETTER if difference.low > 0 else Verdict.WORSE


def _refused(judged: JudgedCurves, law: str, rows: Sequence[int]) -> int:
    return 0 if law == NO_LAW else sum(not judged.fits[law][row].fit.reach for row in rows)


def _over_networks(one: _Ranked, models: Sequence[CurveModel]) -> Interval | None:
    """Networks are drawn anew, each with all its models; measured values as they are."""
    networks = list(dict.fromkeys(model.network for model in models))
    if len(networks) < LEAST_NETWORKS:
        return None
    members = [[i for i, model in enumerate(models) if model.network == network] for network in networks]
    rng = np.random.default_rng(0)
    drawn = []
    for picks in rng.integers(len(networks), size=(DRAWS, len(networks))):
        rows = [row for pick in picks for row in members[pick]]
        drawn.append(float(spearman(one.predicted[0, rows], one.measured[0, rows])))
    return ends_of(float(one.correlations[0]), np.array(drawn))
