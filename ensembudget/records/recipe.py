"""How a member is trained."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from ._base import Fraction, KeyedRecord, Positive, Record

Schedule = Literal["plateau_linear", "cosine", "constant", "two_stage"]

Precision = Literal["float32", "float64", "bfloat16"]


class Recipe(KeyedRecord):
    """How a member is trained. `weight_decay` acts on all parameters and is coupled to the learning rate.

    On the sphere, `effective_learning_rate` is for the scale-invariant weights and `learning_rate` for the
    others. The schedule `two_stage` multiplies the rates by `drop_factor` from epoch `drop_epoch` on. With
    precision `bfloat16` weights stay float32, and convolutions and matrix products run in bfloat16.
    """

    always_keyed: ClassVar = frozenset(
        "epochs batch_size learning_rate effective_learning_rate weight_decay momentum dropout schedule"
        " drop_epoch drop_factor crop_padding flip normalisation precision".split()
    )

    epochs: PositiveInt
    batch_size: Annotated[int, Field(ge=2)] = 128  # batch norm needs at least two samples
    learning_rate: Positive
    effective_learning_rate: Positive | None = None
    weight_decay: Annotated[float, Field(ge=0)]
    momentum: Fraction = 0.9
    dropout: Fraction = 0.0
    schedule: Schedule = "plateau_linear"
    drop_epoch: PositiveInt | None = None
    drop_factor: Annotated[float, Field(gt=0, lt=1)] | None = None
    crop_padding: NonNegativeInt = 4
    flip: bool = True
    normalisation: Literal["dataset", "cifar10", "imagenet"] = "dataset"
    precision: Precision = "float32"

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        stages = (self.drop_epoch, self.drop_factor)
        if self.schedule != "two_stage":
            if stages != (None, None):
                raise ValueError(
                    "drop_epoch and drop_factor belong to schedule 'two_stage', and this is"
                    f" {self.schedule!r}."
                    ' Leave them out, or set schedule = "two_stage".'
                )
        elif self.drop_epoch is None or self.drop_factor is None:
            raise ValueError("schedule 'two_stage' needs drop_epoch and drop_factor, say 0.1.")
        elif self.drop_epoch >= self.epochs:
            instead = (
                f"drop_epoch to at most {self.epochs - 1}" if self.epochs > 1 else "epochs to at least 2"
            )
            raise ValueError(
                f"schedule 'two_stage' is longer than the run: it drops after epoch {self.drop_epoch} of"
                f" {self.epochs}. Set {instead}."
            )
        return self


class RecipeChoice(Record):
    """A study's recipe: the name of a published one, and the fields that replace its own."""

    base: str | None = None
    epochs: PositiveInt | None = None
    batch_size: Annotated[int, Field(ge=2)] | None = None
    learning_rate: Positive | None = None
    effective_learning_rate: Positive | None = None
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    momentum: Fraction | None = None
    dropout: Fraction | None = None
    schedule: Schedule | None = None
    drop_epoch: PositiveInt | None = None
    drop_factor: Annotated[float, Field(gt=0, lt=1)] | None = None
    crop_padding: NonNegativeInt | None = None
    flip: bool | None = None
    normalisation: Literal["dataset", "cifar10", "imagenet"] | None = None
    precision: Precision | None = None

    @property
    def overrides(self) -> dict[str, Any]:
        return self.model_dump(exclude={"base"}, exclude_none=True)
