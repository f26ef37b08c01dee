"""How a member is trained."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from ._base import DOCUMENTED, Fraction, KeyedRecord, Positive, Record

Schedule = Literal["plateau_linear", "cosine", "constant", "two_stage", "linear", "inverse_sqrt"]

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
    """How often every training sample is seen. Example: `epochs = 20`"""
    batch_size: BatchSize = 128
    """Samples in one step of a member. Example: `batch_size = 64`"""
    learning_rate: Positive
    """The largest learning rate of the schedule. Example: `learning_rate = 0.05`"""
    effective_learning_rate: Positive | None = None
    """In the sphere modes, the rate of the scale-invariant weights; `learning_rate` is then for the others.

    Example: `effective_learning_rate = 1e-2`
    """
    weight_decay: Annotated[float, Field(ge=0)]
    """Each step subtracts this times the learning rate times the weights. It acts on all parameters; in mode
    `adamw` only on those of two or more dimensions, so not on biases or norms.

    Example: `weight_decay = 1e-3`
    """
    momentum: Fraction = 0.9
    """The momentum of stochastic gradient descent; in mode `adamw`, Adam's beta1, the decay of the mean
    gradient.

    Example: `momentum = 0.9`
    """
    beta2: Fraction = 0.999
    """In mode `adamw`, Adam's beta2, the decay of the mean squared gradient. Example: `beta2 = 0.98`"""
    clip: Positive | None = None
    """The largest norm of a member's gradient, over all its parameters: a larger gradient is scaled down
    before the step.

    Example: `clip = 1.0`
    """
    dropout: Fraction = 0.0
    """The share of activations that is dropped, in families that have dropout. Example: `dropout = 0.3`"""
    label_smoothing: Fraction = 0.0
    """The share of every label that is spread evenly over all classes in training. Reported losses are
    without it.

    Example: `label_smoothing = 0.1`
    """
    schedule: Schedule = "plateau_linear"
    """How the learning rate changes over the epochs: `plateau_linear` holds it for half of them and then
    lowers it to a hundredth; `two_stage` drops it once; `inverse_sqrt` falls with the
    square root of the steps after the warm-up.

    Example: `schedule = "cosine"`
    """
    schedule_by: Literal["epoch", "step"] = "epoch"
    """Whether the learning rate changes once an epoch, or at every step after the warm-up.

    Example: `schedule_by = "step"`
    """
    warmup_steps: NonNegativeInt = 0
    """Steps over which the learning rate rises linearly from zero to that of the schedule.

    Example: `warmup_steps = 400`
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

    @property
    def moves(self) -> bool:
        """Whether the learning rate may change within an epoch."""
        return self.schedule_by == "step" or self.warmup_steps > 0

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        if self.schedule == "inverse_sqrt" and not self.warmup_steps:
            raise ValueError(
                "schedule 'inverse_sqrt' falls from the end of a warm-up. Set warmup_steps, say 400."
            )
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
    """The published recipe to start from (`ensembudget ls recipes`). The default is `transformer` for family
    `transformer`, and `default` for all others.

    Example: `base = "lobacheva2020"`
    """
    epochs: Epochs | None = None
    batch_size: BatchSize | None = None
    learning_rate: Positive | None = None
    effective_learning_rate: Positive | None = None
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    momentum: Fraction | None = None
    beta2: Fraction | None = None
    clip: Positive | None = None
    dropout: Fraction | None = None
    label_smoothing: Fraction | None = None
    schedule: Schedule | None = None
    schedule_by: Literal["epoch", "step"] | None = None
    warmup_steps: NonNegativeInt | None = None
    drop_epoch: PositiveInt | None = None
    drop_factor: Annotated[float, Field(gt=0, lt=1)] | None = None
    crop_padding: NonNegativeInt | None = None
    flip: bool | None = None
    normalisation: Literal["dataset", "cifar10", "imagenet"] | None = None
    precision: Precision | None = None

    @property
    def overrides(self) -> dict[str, Any]:
        return self.model_dump(exclude={"base"}, exclude_none=True)
