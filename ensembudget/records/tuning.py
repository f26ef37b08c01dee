"""How a study tunes its recipe: what is tried, by which members, and what was chosen."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from ._base import DOCUMENTED, Record
from .cell import Cell
from .interval import Interval
from .setting import Placed

# Members that choose have seeds from here on. Pools are smaller (`planning.plan.MOST_MEMBERS`), so none of
# these members is ever scored.
TUNING_SEED = 1_000_000

Value = float | int | str | bool
Values = dict[str, Value]  # of recipe fields, by name


def said(values: Values) -> str:
    """Fields and values as labels and tables write them.

    >>> said({"weight_decay": 0.003, "epochs": 20})
    'weight_decay = 0.003, epochs = 20'
    """
    return ", ".join(f"{field} = {str(value).removesuffix('.0')}" for field, value in values.items())


class Tune(Record):
    """What a study tunes for each arm, data size and width, on its validation images."""

    model_config = DOCUMENTED

    method: Literal["grid", "halving"] = "grid"
    """With `grid` every combination of values has `members` members. With `halving` each has one, the better
    half goes on with twice as many, and so on until one is left or has `members`.

    Example: `method = "halving"`
    """
    members: PositiveInt = 2
    """Members that judge a combination, at most. Example: `members = 4`"""
    values: dict[str, Annotated[list[Value], Field(min_length=1)]]
    """Recipe fields and the values to try; every combination is tried.

    Example: `values = { weight_decay = [1e-4, 1e-3], epochs = [10, 20] }`
    """


class Contest(Record):
    """What a choice is made among: all that determines it.

    Attributes:
        method: Of the study's `tune`.
        members: Of each combination at most.
        keys: Of the cells that are compared, in order.
        own: Which of them is the study's own recipe, from 0; None where it is none of them.
    """

    method: Literal["grid", "halving"]
    members: PositiveInt
    keys: list[str]
    own: NonNegativeInt | None


class Trial(Record):
    """How one combination of values did on the validation images, single members averaged.

    Attributes:
        values: Of the fields that are tuned.
        members: How many were judged.
        diverged: How many of them diverged; a combination with one has no losses.
        nll: At temperature 1, nats per sample; Student's interval over members.
        cnll: At a temperature that is fitted on one half of the images and scored on the other.
        above: CNLL minus the lowest of the last round, over members and images; None before that round.
        flops: Spent on training.
    """

    values: Values
    members: PositiveInt
    diverged: NonNegativeInt = 0
    nll: Interval | None = None
    cnll: Interval | None = None
    above: Interval | None = None
    flops: NonNegativeFloat


class Choice(Record):
    """The outcome of a contest: every combination's trial, in order, and which was chosen."""

    contest: Contest
    trials: list[Trial]
    chosen: NonNegativeInt

    @property
    def values(self) -> Values:
        """What was chosen."""
        return self.trials[self.chosen].values

    @property
    def flops(self) -> float:
        """What the choice cost, in floating-point operations of training."""
        return sum(trial.flops for trial in self.trials)


class Combination(Record):
    """Values of the fields that are tuned, and the cell that they make of the study's own."""

    values: Values
    cell: Cell


class Tuning(Placed):
    """One choice that a plan needs: of the recipe of one arm, data size and width.

    `own` is the combination that is the study's own recipe, None where it is not among them. `choice` is
    None until it is made.
    """

    method: Literal["grid", "halving"]
    members: PositiveInt
    combinations: Annotated[list[Combination], Field(min_length=2)]
    own: NonNegativeInt | None
    flops_per_sample: PositiveInt  # of one member, forward
    choice: Choice | None = None

    @property
    def width(self) -> int:
        return self.combinations[0].cell.width

    @property
    def images(self) -> int:
        """Training images."""
        return self.combinations[0].cell.train_size

    @property
    def validation_size(self) -> int:
        return self.combinations[0].cell.validation_size

    @property
    def contest(self) -> Contest:
        """What determines the choice, and what it is kept under."""
        keys = [one.cell.key for one in self.combinations]
        return Contest(method=self.method, members=self.members, keys=keys, own=self.own)

    @property
    def chosen(self) -> Combination | None:
        return None if self.choice is None else self.combinations[self.choice.chosen]
