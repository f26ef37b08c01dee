"""Grids of learning rate and weight decay: destabilisations, periods, and how the period scales."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..catalog import MODES
from ..dynamics.durations import geometric_mean
from ..dynamics.periods import PERIODIC, Course, Destabilisation, LogSlope, course, log_slopes
from ..records import Cell, Interval
from ..scoring.pools import Pool, Results
from .groups import Group, groups_of
from .histories import History, first_history


@dataclass(frozen=True)
class PeriodPoint:
    """The runs at one pair of learning rate and weight decay.

    Attributes:
        learning_rate: Constant throughout.
        weight_decay: Coupled to the learning rate.
        courses: Of the runs, by seed.
        test_errors: Mean of each run's second half, where it was recorded.
        history: Of the first run, for figures.
    """

    learning_rate: float
    weight_decay: float
    courses: tuple[Course, ...]
    test_errors: tuple[float, ...]
    history: History | None

    @property
    def product(self) -> float:
        return self.learning_rate * self.weight_decay

    @property
    def kind(self) -> str:
        """Of most runs."""
        kinds = [one.kind for one in self.courses]
        return max(sorted(set(kinds)), key=kinds.count)

    @property
    def is_periodic(self) -> bool:
        return self.kind == PERIODIC

    @property
    def agreeing(self) -> int:
        """How many runs are of that kind."""
        return sum(one.kind == self.kind for one in self.courses)

    @property
    def events(self) -> list[Destabilisation]:
        """Of all runs."""
        return [event for one in self.courses for event in one.destabilisations]

    @property
    def period(self) -> Interval | None:
        """Geometric mean over the periods of all runs, steps, with its 95% interval.

        Stretches that the end of a run cut off count as at least as long. None where fewer than two periods
        are whole.
        """
        whole = np.concatenate([one.periods for one in self.courses])
        return geometric_mean(whole, np.array(self.cut_off))

    @property
    def cut_off(self) -> list[float]:
        """From the last rise of each run to its end, steps, of runs with a rise."""
        return [one.cut_off for one in self.courses if one.cut_off]


@dataclass(frozen=True)
class PeriodGrid:
    """Runs with weight decay that differ in learning rate and weight decay alone.

    Attributes:
        arm: The arm's name without what is swept; "" where there is but one, or the grid spans several.
        cell: One of its cells, which stands for the rest.
        points: In the order of the plan.
    """

    arm: str
    cell: Cell
    points: tuple[PeriodPoint, ...]

    @property
    def by_product(self) -> list[PeriodPoint]:
        """By ascending product of learning rate and weight decay."""
        return sorted(self.points, key=lambda one: one.product)

    @property
    def slopes(self) -> list[LogSlope]:
        """How the period of the periodic points scales."""
        found = [(one, period) for one in self.points if one.is_periodic and (period := one.period)]
        return log_slopes(
            np.array([one.learning_rate for one, _ in found]),
            np.array([one.weight_decay for one, _ in found]),
            np.array([period.value for _, period in found]),
        )


def grids(results: Results, arms: Mapping[str, str]) -> tuple[PeriodGrid, ...]:
    """Recorded runs whose norm is free and decays, without momentum, at constant rates.

    Args:
        results: A study's.
        arms: Arms' names without what is swept, by pools' arms.
    """
    groups = groups_of(results, arms, _has_periods, {"learning_rate": 1.0, "weight_decay": 0.0})
    every = [_grid(group) for group in groups]
    return tuple(one for one in every if one.points)


def _has_periods(cell: Cell) -> bool:
    recipe = cell.recipe
    free = cell.record is not None and MODES[cell.mode].norm == "free"
    return free and recipe.schedule == "constant" and not recipe.momentum and recipe.weight_decay > 0


def _grid(group: Group) -> PeriodGrid:
    points = [point for pool in group.pools if (point := _point(pool, group.arm)).courses]
    return PeriodGrid(group.arm, group.pools[0].planned.cell, tuple(points))


def _point(pool: Pool, arm: str) -> PeriodPoint:
    recipe = pool.planned.cell.recipe
    courses, errors = [], []
    for one in pool.trained:
        history = pool.histories.get(one.member.run.seed)
        if history is None:
            continue
        names = ("step", "train_loss", "norm", "relative_gradient_norm")
        columns = [history[name].to_numpy() for name in names]
        courses.append(course(*columns, learning_rate=recipe.learning_rate, weight_decay=recipe.weight_decay))
        if "test_error" in history:
            errors.append(float(history["test_error"][len(history) // 2 :].mean()))
    return PeriodPoint(
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        courses=tuple(courses),
        test_errors=tuple(errors),
        history=first_history(pool, arm),
    )
