"""What splitting brings at every budget and setting, and joint draws of its errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..records import Interval, Setting
from ..scoring.comparison import Verdict, lowest_difference, verdict
from ..scoring.covariance import PoolNoise
from ..scoring.drawing import Ensembles, drawn_errors
from ..scoring.turning import advantages
from .splits import BudgetResult, SplitResult


@dataclass(frozen=True)
class Advantage:
    """The best ensemble of a budget against the wide network.

    Attributes:
        budget: All splits of the budget, in one setting.
        wide: The wide network.
        split: The ensemble with the lowest CNLL, selected on the test set.
        value: Its CNLL minus the wide network's, nats per sample: below zero where a split wins. The
            intervals of all splits hold at once, and this one goes from the lowest of their lower ends to the
            lowest of their upper ends. So it holds the lowest true difference, whichever split was chosen.
        verdict: Of that interval.
        least_loss: The least training loss of the last epoch, a mean over a pool of the budget.
        greatest_loss: The greatest.
    """

    budget: BudgetResult
    wide: SplitResult
    split: SplitResult
    value: Interval
    verdict: Verdict
    least_loss: float
    greatest_loss: float

    @property
    def setting(self) -> Setting:
        return self.budget.setting

    @property
    def best(self) -> SplitResult:
        """The split with the lowest CNLL, the wide network included."""
        assert self.budget.best is not None
        return self.budget.best

    @property
    def rivals(self) -> list[SplitResult]:
        """The ensembles it was chosen from, those with a score."""
        return [one for one in self.budget.splits if one.score and one is not self.wide]

    @property
    def is_judged(self) -> bool:
        return self.verdict != Verdict.NOT_JUDGED


class DrawnAdvantages(NamedTuple):
    """Advantages that are judged, and the same with errors added once more.

    Attributes:
        found: In order.
        values: (advantage,), nats.
        drawn: (advantage, draw).
    """

    found: tuple[Advantage, ...]
    values: Array
    drawn: Array

    def rows(self, some: Sequence[Advantage]) -> list[int]:
        """Where some of them stand."""
        places = {id(one): row for row, one in enumerate(self.found)}
        return [places[id(one)] for one in some]


def advantage_results(budgets: Sequence[BudgetResult]) -> tuple[Advantage, ...]:
    """Of every budget and setting with a wide network and a split, both with a score."""
    found = [_advantage(one) for one in budgets]
    return tuple(one for one in found if one is not None)


def _advantage(budget: BudgetResult) -> Advantage | None:
    scored = {one.split.members: one for one in budget.splits if one.score}
    wide = scored.pop(1, None)
    if wide is None or not scored:
        return None
    gaps = {n: one.score.compared.difference for n, one in scored.items() if one.score}
    known = {n: gap for n, gap in gaps.items() if gap is not None}
    best = min(known, key=lambda n: known[n].value)
    value = lowest_difference(list(known.values()))
    losses = [
        float(np.mean([m.train_loss[-1] for m in one.pool.trained])) for one in (wide, *scored.values())
    ]
    return Advantage(budget, wide, scored[best], value, verdict(value), min(losses), max(losses))


def drawn_advantages(
    some: Sequence[Advantage], noises: Mapping[tuple[Setting, int], PoolNoise]
) -> DrawnAdvantages:
    """Joint draws of all advantages that are judged: pools that two of them share err alike.

    Args:
        some: Advantages of one study.
        noises: Of every pool, by setting and width.
    """
    judged = tuple(one for one in some if one.is_judged)
    if not judged:
        return DrawnAdvantages((), np.empty(0), np.empty((0, 0)))
    unique: dict[tuple[str, int], Ensembles] = {}
    rows: dict[tuple[str, int], int] = {}
    for one in judged:
        for split in (one.wide, *one.rivals):
            ensembles = _ensembles(split, noises)
            unique.setdefault(ensembles.key, ensembles)
            rows.setdefault(ensembles.key, len(rows))
    means = np.array([each.losses.losses.mean() for each in unique.values()])
    drawn = means[:, None] + drawn_errors(list(unique.values()))

    def of(values: Array, one: Advantage) -> Array:
        return advantages(values, rows[_key(one.wide)], [rows[_key(rival)] for rival in one.rivals])

    return DrawnAdvantages(
        judged,
        np.array([float(of(means, one)) for one in judged]),
        np.stack([of(drawn, one) for one in judged]),
    )


def _key(one: SplitResult) -> tuple[str, int]:
    return one.pool.planned.cell.key, one.split.members


def _ensembles(one: SplitResult, noises: Mapping[tuple[Setting, int], PoolNoise]) -> Ensembles:
    assert one.score is not None
    noise = noises[one.split.setting, one.split.width]
    return Ensembles(one.pool.planned.cell.key, one.score.losses, noise)
