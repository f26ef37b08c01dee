"""Learning curves: how the loss of each model falls with training images, and how all err together."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..arrays import Array, covariance_root
from ..records import Interval, Setting
from ..scoring.standard_errors import Variance, interval

DRAWS = 1000


class CurveModel(NamedTuple):
    """What one learning curve is of.

    Attributes:
        family: The family's name, with its options.
        arm: And dtype, where there are several; "" where there is but one of each.
        tuned: Whether its recipe was tuned on validation images; None where the study tunes none.
        width: Of its members.
        members: Of one ensemble.
        parameters: Of all members together.
    """

    family: str
    arm: str
    tuned: bool | None
    width: int
    members: int
    parameters: int

    @property
    def network(self) -> tuple[str, int]:
        """What it shares with models that differ in their ensemble size or recipe alone."""
        return self.family, self.width

    def __str__(self) -> str:
        how = Setting(self.arm, self.tuned).label
        return f"{self.family} of width {self.width}, n = {self.members}{how and f', {how}'}"


class SharedErrors(NamedTuple):
    """How points that are of one pool err together.

    Attributes:
        rows: Their models, (point,).
        columns: Their sizes, (point,).
        covariance: Over fresh members, (point, point), in the unit of the metric squared.
        freedom: Its degrees of freedom.
    """

    rows: Sequence[int]
    columns: Sequence[int]
    covariance: Array
    freedom: float


class BudgetGroup(NamedTuple):
    """The models that are splits of one budget, by their places in `LearningCurves.models`."""

    name: str
    rows: tuple[int, ...]


@dataclass(frozen=True)
class LearningCurves:
    """Curves of one metric on one test set.

    Attributes:
        metric: `cnll`, `nll` or `error`.
        ceiling: What an answer has that looks at no image: ln C nats, or an error of 1.
        models: One a curve.
        sizes: Training images, ascending, (size,).
        values: (model, size); NaN where nothing was measured.
        errors: One a pool; pools are independent.
        budgets: Whose splits are ranked among themselves.
        unknown: Why nothing is known of the errors; "" where something is.
        least: The fewest training images that a study of them may ask for.
    """

    metric: str
    ceiling: float
    models: tuple[CurveModel, ...]
    sizes: Array
    values: Array
    errors: tuple[SharedErrors, ...]
    budgets: tuple[BudgetGroup, ...] = ()
    unknown: str = ""
    least: int = 1

    @cached_property
    def variances(self) -> Array:
        """Squared standard errors, (model, size)."""
        found = np.zeros_like(self.values)
        for one in self.errors:
            found[one.rows, one.columns] += one.covariance.diagonal()
        return found

    @cached_property
    def freedoms(self) -> Array:
        """The fewest degrees of freedom of any part of a point, (model, size)."""
        found = np.full_like(self.values, np.inf)
        for one in self.errors:
            found[one.rows, one.columns] = np.minimum(found[one.rows, one.columns], one.freedom)
        return found

    @cached_property
    def drawn(self) -> Array:
        """The values as other members might show them, Student's t in each pool, (draw, model, size)."""
        rng, found = np.random.default_rng(0), np.repeat(self.values[None], DRAWS, 0)
        for one in self.errors:
            noise = rng.standard_normal((DRAWS, len(one.rows))) @ covariance_root(one.covariance).T
            factor = np.sqrt(one.freedom / rng.chisquare(one.freedom, (DRAWS, 1)))
            found[:, one.rows, one.columns] += factor * noise
        return found

    @property
    def highest(self) -> float:
        """What the metric is expected to be at most: who calibrates is no worse than a constant answer."""
        return math.inf if self.metric == "nll" else self.ceiling

    def measured(self, row: int, column: int) -> Interval:
        """One point with Student's 95% interval over fresh members."""
        error = Variance(float(self.variances[row, column]), float(self.freedoms[row, column]))
        value = float(self.values[row, column])
        return interval(value, None if self.unknown else error, (0, max(value, self.highest)))

    def of_models(self, rows: Sequence[int]) -> "LearningCurves":
        """The same of some models only."""
        place = {row: i for i, row in enumerate(rows)}
        errors = (_within(one, place) for one in self.errors)
        groups = (
            group._replace(rows=tuple(place[row] for row in group.rows if row in place))
            for group in self.budgets
        )
        return replace(
            self,
            models=tuple(self.models[row] for row in rows),
            values=self.values[list(rows)],
            errors=tuple(one for one in errors if one.rows),
            budgets=tuple(group for group in groups if len(group.rows) > 1),
        )


def _within(one: SharedErrors, place: Mapping[int, int]) -> SharedErrors:
    kept = [i for i, row in enumerate(one.rows) if row in place]
    return SharedErrors(
        [place[one.rows[i]] for i in kept],
        [one.columns[i] for i in kept],
        one.covariance[np.ix_(kept, kept)],
        one.freedom,
    )
