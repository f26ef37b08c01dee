"""Sweeps over effective learning rates: the regime at every rate, and the boundaries between regimes."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..dynamics.regimes import VERDICTS, Boundary, Classified, boundaries, classify
from ..records import Cell, Interval
from ..scoring.pools import Pool, Results
from .groups import Group, groups_of
from .histories import History, first_history

# Means over the second half of a run; those that were recorded.
MEANS = ("effective_gradient_norm", "test_error", "cosine_to_last")


@dataclass(frozen=True)
class RegimeRun:
    """One classified run, with means over the second half of what it recorded."""

    classified: Classified
    means: Mapping[str, float]


@dataclass(frozen=True)
class RateResult:
    """The runs at one effective learning rate.

    Attributes:
        rate: The effective learning rate.
        runs: By seed, those long enough to be classified.
        history: Of the first run, for figures.
    """

    rate: float
    runs: tuple[RegimeRun, ...]
    history: History | None

    @property
    def counts(self) -> dict[str, int]:
        """How many runs each verdict is on: a regime, still falling, or undecided."""
        found = Counter(run.classified.regime for run in self.runs)
        return {verdict: found[verdict] for verdict in VERDICTS}

    @property
    def regime(self) -> str:
        """The most frequent verdict."""
        return max(VERDICTS, key=lambda name: self.counts[name])

    @property
    def train_loss(self) -> Interval | None:
        return _range([run.classified.train_loss for run in self.runs])

    @property
    def slope(self) -> Interval | None:
        """Mean over runs, from the lowest end of a run's interval to the highest."""
        slopes = [run.classified.slope for run in self.runs if run.classified.slope]
        if not slopes:
            return None
        return Interval(
            value=float(np.mean([one.value for one in slopes])),
            low=min(one.low for one in slopes if one.low is not None),
            high=max(one.high for one in slopes if one.high is not None),
        )

    def mean(self, name: str) -> Interval | None:
        """Of one of `MEANS` over runs, with the smallest and the largest run."""
        return _range([run.means[name] for run in self.runs if name in run.means])


@dataclass(frozen=True)
class Sweep:
    """Runs on the sphere that differ in their effective learning rate alone.

    Attributes:
        arm: The arm's name without what is swept; "" where there is but one, or the sweep spans several.
        cell: One of its cells, which stands for the rest.
        rates: Ascending.
    """

    arm: str
    cell: Cell
    rates: tuple[RateResult, ...]

    @property
    def boundaries(self) -> list[Boundary]:
        return boundaries({one.rate: [run.classified.regime for run in one.runs] for one in self.rates})


def sweeps(results: Results, arms: Mapping[str, str]) -> tuple[Sweep, ...]:
    """Every sweep of recorded runs at constant rates.

    Args:
        results: A study's.
        arms: Arms' names without what is swept, by pools' arms.
    """
    groups = groups_of(results, arms, _is_swept, {"effective_learning_rate": None})
    every = [_sweep(group) for group in groups]
    return tuple(one for one in every if one.rates)


def _is_swept(cell: Cell) -> bool:
    recipe = cell.recipe
    constant = recipe.effective_learning_rate is not None and recipe.schedule == "constant"
    return constant and cell.record is not None


def _sweep(group: Group) -> Sweep:
    rates = []
    for pool in group.pools:
        rate = pool.planned.cell.recipe.effective_learning_rate
        if rate is not None and (runs := tuple(_runs(pool))):
            rates.append(RateResult(rate, runs, first_history(pool, group.arm)))
    return Sweep(group.arm, group.pools[0].planned.cell, tuple(sorted(rates, key=lambda one: one.rate)))


def _runs(pool: Pool) -> Iterator[RegimeRun]:
    for one in pool.stored:
        history = pool.histories.get(one.member.run.seed)
        if history is None:
            continue
        classes = one.test_logits.shape[1]
        classified = classify(history["epoch"].to_numpy(), history["train_loss"].to_numpy(), classes)
        if classified is not None:
            late = history[len(history) // 2 :]
            yield RegimeRun(classified, {name: float(late[name].mean()) for name in MEANS if name in late})


def _range(values: Sequence[float]) -> Interval | None:
    """Mean, smallest and largest of what is finite; None where nothing is."""
    finite = [value for value in values if np.isfinite(value)]
    if not finite:
        return None
    if len(finite) == 1:
        return Interval(value=finite[0])
    return Interval(value=float(np.mean(finite)), low=min(finite), high=max(finite))
