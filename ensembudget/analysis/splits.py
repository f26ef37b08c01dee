"""Every split of a budget: what its ensembles are worth, against the wide network and against the best."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ..records import Interval, Setting, Split, SplitCost
from ..scoring.comparison import Compared, SplitLosses, Verdict, compare
from ..scoring.ensembles import deep_ensemble_equivalent
from ..scoring.pools import Pool, Results
from ..scoring.standard_errors import cnll_interval, mean_metrics

SplitKey = tuple[str, int, int]  # the setting's label, budget, members


@dataclass(frozen=True)
class SplitScore:
    """What the ensembles of a split are worth, means over the disjoint ensembles of its pool.

    Attributes:
        ensembles: How many disjoint ensembles the pool holds.
        metrics: By name; None where a metric says nothing of this size.
        cnll: Calibrated NLL, nats per sample.
        temperature: Geometric mean over the cross-fits, dimensionless.
        losses: What it is compared by.
        compared: Against the wide network and the best split of the budget.
        equivalent: How many wide networks have this CNLL (deep-ensemble equivalent); None beyond them.
    """

    ensembles: int
    metrics: Mapping[str, Interval | None]
    cnll: Interval
    temperature: float
    losses: SplitLosses
    compared: Compared
    equivalent: float | None


@dataclass(frozen=True)
class SplitResult:
    """One split.

    Attributes:
        split: What was planned.
        pool: Whose ensembles they are.
        score: None where the pool has too few members.
        cost: What was measured of it, if anything.
        cost_ratio: The same as a multiple of the wide network's, by the names of `SplitCost`.
    """

    split: Split
    pool: Pool
    score: SplitScore | None
    cost: SplitCost | None = None
    cost_ratio: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def key(self) -> SplitKey:
        return self.split.setting.label, self.split.budget, self.split.members


class ComparedSplit(NamedTuple):
    """What the ensembles of one size are worth, beside those of the other sizes.

    Attributes:
        members: Ensemble size.
        cnll: Calibrated NLL, nats per sample, with its interval over members.
        compared: Against the wide network, which is the ensemble of one, and against the best.
    """

    members: int
    cnll: Interval
    compared: Compared


@dataclass(frozen=True)
class BudgetResult:
    """The splits of one budget and setting, by ascending members."""

    setting: Setting
    budget: int
    budget_kind: str
    splits: tuple[SplitResult, ...]

    @property
    def best(self) -> SplitResult | None:
        """The split with the lowest CNLL, selected on the test set; None where nothing is scored."""
        return next(
            (one for one in self.splits if one.score and one.score.compared.best == Verdict.BEST), None
        )

    @property
    def compared(self) -> list[ComparedSplit]:
        """The splits that are scored, without what else is known of them."""
        return [
            ComparedSplit(one.split.members, one.score.cnll, one.score.compared)
            for one in self.splits
            if one.score
        ]

    @property
    def ties(self) -> list[SplitResult]:
        """Splits that cannot be told from the best."""
        return [one for one in self.splits if one.score and one.score.compared.best == Verdict.TIE]


def budget_results(results: Results, costs: Mapping[SplitKey, SplitCost]) -> tuple[BudgetResult, ...]:
    """Every budget and setting, the settings of a budget side by side.

    Args:
        results: A study's.
        costs: Measured costs of splits.
    """
    found = []
    for budget, setting in dict.fromkeys((split.budget, split.setting) for split in results.plan.splits):
        splits = [one for one in results.plan.splits if (one.budget, one.setting) == (budget, setting)]
        found.append(
            BudgetResult(
                setting=setting,
                budget=budget,
                budget_kind=splits[0].budget_kind,
                splits=_split_results(sorted(splits, key=lambda s: s.members), results, costs),
            )
        )
    return tuple(sorted(found, key=lambda one: one.budget))


def _split_results(
    splits: list[Split], results: Results, costs: Mapping[SplitKey, SplitCost]
) -> tuple[SplitResult, ...]:
    pools = [results.pool_of(split) for split in splits]
    losses = [pool.split_losses(split.members) for split, pool in zip(splits, pools, strict=True)]
    scored = [one for one in losses if one is not None]
    compared = dict(zip([one.members for one in scored], compare(scored) if scored else [], strict=True))
    curve = _wide_curve(splits[0], pools[0])
    wide_cost = costs.get((splits[0].setting.label, splits[0].budget, 1))
    found = []
    for split, pool, one in zip(splits, pools, losses, strict=True):
        score = _score(pool, one, compared[one.members], curve) if one else None
        cost = costs.get((split.setting.label, split.budget, split.members))
        ratio = cost.over(wide_cost) if cost and wide_cost else {}
        found.append(SplitResult(split, pool, score, cost, ratio))
    return tuple(found)


def _wide_curve(split: Split, pool: Pool) -> dict[int, float]:
    """CNLL of ensembles of the wide network by size; nothing where it is not among the splits."""
    if split.members != 1 or pool.scores is None:
        return {}
    return {size: float(losses.mean()) for size, losses in pool.scores.losses.items()}


def _score(pool: Pool, one: SplitLosses, compared: Compared, curve: dict[int, float]) -> SplitScore:
    scores, size = pool.scores, one.members
    assert scores is not None
    cnll = float(one.losses.mean())
    return SplitScore(
        ensembles=len(scores.losses[size]),
        metrics=mean_metrics(scores, size, one.errors),
        cnll=cnll_interval(cnll, one.errors),
        temperature=scores.temperatures[size],
        losses=one,
        compared=compared,
        equivalent=deep_ensemble_equivalent(cnll, curve) if curve else None,
    )
