"""How a member is trained."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from ._base import DOCUMENTED, Fraction, KeyedRecord, Positive, Record

Schedule = Literal["plateau_linear", "cosine", "constant", "two_stage"]

Precision = Literal["float32", "float64", "bfloat16"]


# Beyond these is a typing error: no network was ever trained so long, or by so large a batch.
Epochs = Annotated[PositiveInt, Field(le=1_000_000)]
BatchSize = Annotated[int, Field(ge=2, le=1_000_000)]  # batch norm needs at least two samples


class Recipe(KeyedRecord):
    """How a member is trained."""

    model_config = DOCUMENTED

    always_keyed: ClassVar = frozenset(
        "epochs batch_size learning_rate effective_learning_rate weight_decay momentum dropout schedule"
        " drop_epoch drop_factor crop_padding flip normalisation precision".split()
    )

    epochs: Epochs
    """How often every training image is seen. Example: `epochs = 20`"""
    batch_size: BatchSize = 128
    """Images in one step of a member. Example: `batch_size = 64`"""
    learning_rate: Positive
    """The largest learning rate of the schedule. Example: `learning_rate = 0.05`"""
    effective_learning_rate: Positive | None = None
    """In the sphere modes, the rate of the scale-invariant weights; `learning_rate` is then for the others.

    Example: `effective_learning_rate = 1e-2`
    """
    weight_decay: Annotated[float, Field(ge=0)]
    """Acts on all parameters; each step takes it times the learning rate. Example: `weight_decay = 1e-3`"""
    momentum: Fraction = 0.9
    """Of stochastic gradient descent. Example: `momentum = 0.9`"""
    dropout: Fraction = 0.0
    """The share of activations that is dropped, in families that have dropout. Example: `dropout = 0.3`"""
    schedule: Schedule = "plateau_linear"
    """How the learning rate changes over the epochs: `plateau_linear` holds it for half of them and then
    lowers it to a hundredth; `two_stage` drops it once.

    Example: `schedule = "cosine"`
    """
    drop_epoch: PositiveInt | None = None
    """With schedule `two_stage`, the epoch after which rates drop. Example: `drop_epoch = 10`"""
    drop_factor: Annotated[float, Field(gt=0, lt=1)] | None = None
    """With schedule `two_stage`, what rates are multiplied by. Example: `drop_factor = 0.1`"""
    crop_padding: NonNegativeInt = 4
    """Black pixels around an image before it is cut out at random; 0 for no crops.

    Example: `crop_padding = 0`
    """
    flip: bool = True
    """Whether half of the images are mirrored, left to right. Example: `flip = false`"""
    normalisation: Literal["dataset", "cifar10", "imagenet"] = "dataset"
    """Whose means and deviations scale the colours. Example: `normalisation = "imagenet"`"""
    precision: Precision = "float32"
    """What training computes in. With `bfloat16` weights stay float32, and convolutions and matrix products
    run in bfloat16.

    Example: `precision = "bfloat16"`
    """

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
    """A study's recipe: the name of a published one, and the fields of `Recipe` that replace its own."""

    model_config = DOCUMENTED

    base: str | None = None
    """The published recipe to start from (`ensembudget ls recipes`); `default` where none is named.

    Example: `base = "lobacheva2020"`
    """
    epochs: Epochs | None = None
    batch_size: BatchSize | None = None
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
