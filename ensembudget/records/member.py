"""A trained member, and where it was trained."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from ._base import Record
from .cell import Run
from .stepping import Stepping


class Environment(Stepping):
    """Where and how a member was trained. It is stored with the member and is not part of its key."""

    ensembudget: str
    torch: str
    device: str
    threads: PositiveInt

    @property
    def is_repeatable(self) -> bool:
        """Whether training here again gives the same bytes, as it does on a CPU."""
        return self.device.startswith("cpu")

    @property
    def stepping(self) -> Stepping:
        return Stepping(**self.model_dump(include=set(Stepping.model_fields)))


Cosine = Annotated[float, Field(ge=-1, le=1)]


class UnitFacts(Record):
    """How the predictors of one unit differ, on the test images and in weight space; means over its pairs.

    Attributes:
        predictors: How many.
        disagreement: Share of the test images on which two of them name different classes.
        weight_cosine: Cosine between their vectors of trained parameters.
        logit_cosine: Cosine between their vectors of all test logits, each sample's less their mean over the
            classes, which says nothing.
        radius: Of the tunnel that they were drawn from, as the distance from its centre divided by the
            centre's norm, mean over the predictors; None for other methods.
    """

    predictors: Annotated[int, Field(ge=2)]
    disagreement: Annotated[float, Field(ge=0, le=1)]
    weight_cosine: Cosine
    logit_cosine: Cosine
    radius: Annotated[float, Field(ge=0)] | None = None


class Member(Record):
    """A trained member as the store describes it; its arrays are files beside the description.

    Attributes:
        run: Which.
        status: Whether it can be averaged.
        diverged_at: The step at which it cannot be any more.
        parameters: How many are stored of it: of a unit of several networks, all of theirs.
        seconds: Its share of its pack's time.
        environment: Where it was trained.
        unit: How its predictors differ; None where it has one, or has diverged.
    """

    run: Run
    status: Literal["done", "diverged"]
    diverged_at: NonNegativeInt | None = None
    parameters: PositiveInt
    seconds: float
    environment: Environment
    unit: UnitFacts | None = None
