"""What flows from verb to verb: frozen, checked, and equal after a round trip through JSON."""

import hashlib
from functools import cached_property
from typing import Annotated, Any, Literal, Self

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

# What the numbers mean, not how the code is written: raised when the same run would train to other
# logits, so that a store never mixes the two. A golden-logits test fails when it should be raised.
TRAINING_ABI = 1

Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Schedule = Literal["plateau_linear", "cosine", "constant", "two_stage"]
Precision = Literal["float32", "float64", "bfloat16"]
Way = Literal["grouped", "separate", "vmap"]
MemoryLayout = Literal["channels_last", "contiguous"]
Options = dict[str, int | bool | str]


class Record(BaseModel):
    """A frozen record; unknown fields and wrong types are faults."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def to_json(self) -> str:
        """Canonical JSON (RFC 8785): equal records, equal bytes."""
        return rfc8785.dumps(self.model_dump(mode="json")).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        return cls.model_validate_json(text)


class Recipe(Record):
    """How a member is trained; rates are per step, `weight_decay` acts on all parameters.

    On the sphere `effective_learning_rate` moves the scale-invariant weights and `learning_rate` the
    others. The schedule `two_stage` multiplies rates by `drop_factor` from `drop_epoch` on. With
    precision `bfloat16` weights stay float32, and convolutions and products are rounded (autocast).
    """

    epochs: PositiveInt
    batch_size: Annotated[int, Field(ge=2)] = 128  # batch norm has no statistics of one
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
                    f"drop_epoch and drop_factor are of schedule 'two_stage', and this is {self.schedule!r}."
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


class Recording(Record):
    """What is written down while a member trains: a row at every `every`-th epoch.

    Gradients and training loss are means along that epoch; with `fixed_pass` they are measured in a
    pass of their own at fixed weights in training mode, as the papers do, at the price of most of
    an epoch. `steps` adds a row at every so many steps, 0 none. `curvature` is how many epochs lie
    between estimates of the Hessian and the Fisher matrix, 0 none.
    """

    every: PositiveInt = 1
    test_size: NonNegativeInt = 1000
    fixed_pass: bool = False
    steps: NonNegativeInt = 0
    curvature: NonNegativeInt = 0
    curvature_size: Annotated[int, Field(ge=2)] = 500
    eigenvalues: NonNegativeInt = 3


class Cell(Record):
    """Everything that determines a member but its seed."""

    family: str
    options: Options
    width: PositiveInt
    dataset: str
    dataset_digest: str
    train_size: PositiveInt
    validation_size: NonNegativeInt
    mode: str
    recipe: Recipe
    record: Recording | None = None

    @cached_property
    def key(self) -> str:
        """A content hash of what decides a member: of the images, not of what they are called.

        What is not set is left out, so that a field that is new changes no key that is old.
        """
        return _key(self.model_dump(mode="json", exclude={"dataset"}, exclude_none=True))

    @cached_property
    def training_key(self) -> str:
        """The same without what is recorded, which decides no logits."""
        return _key(self.model_dump(mode="json", exclude={"dataset", "record"}, exclude_none=True))


class Run(Record):
    """One member to be trained: a cell and a seed. Cache key, remote payload and provenance."""

    cell: Cell
    seed: NonNegativeInt

    @cached_property
    def key(self) -> str:
        """The member's name in a store: SHA-256 in hexadecimal."""
        return _key({"cell": self.cell.key, "seed": self.seed})

    @cached_property
    def stream_key(self) -> str:
        """What its random streams follow from: a member is the same with a history and without."""
        return _key({"cell": self.cell.training_key, "seed": self.seed})


def _key(facts: dict[str, Any]) -> str:
    return hashlib.sha256(rfc8785.dumps({"training_abi": TRAINING_ABI, **facts})).hexdigest()


class Split(Record):
    """One way to spend a budget: `members` networks of one `width`, with what they cost."""

    arm: str = ""
    budget: PositiveInt
    budget_kind: str
    members: PositiveInt
    width: PositiveInt
    parameters_per_member: int
    parameters_total: int
    error_percent: float
    flops_per_sample: int
    bytes_total: int
    activations_per_sample: int


class Stepping(Record):
    """How members are stepped: it decides their speed and, by rounding alone, what they become.

    `pack` members share a step. Together they go through the network as `grouped` convolutions,
    one after another (`separate`; on a GPU side by side), or by `vmap`. `compiled` is torch.compile,
    `captured` a whole step replayed as one CUDA graph.
    """

    pack: PositiveInt = 1
    way: Way = "grouped"
    layout: MemoryLayout = "channels_last"
    compiled: bool = False
    captured: bool = False

    def __str__(self) -> str:
        """As a table says it.

        >>> print(Stepping(pack=8, compiled=True))
        packs of 8, grouped, channels_last, compiled
        """
        words = [f"packs of {self.pack}", self.way, self.layout]
        return ", ".join(words + [word for word in ("compiled", "captured") if getattr(self, word)])


class SteppingChoice(Record):
    """What a study or a user fixes of a stepping, and threads a process; a trial finds the rest."""

    pack: PositiveInt | None = None
    way: Way | None = None
    layout: MemoryLayout | None = None
    compiled: bool | None = None
    captured: bool | None = None
    threads: PositiveInt | None = None

    @property
    def fixed(self) -> dict[str, Any]:
        """What is given of `Stepping`'s fields."""
        return self.model_dump(exclude_none=True, exclude={"threads"})

    def over(self, other: "SteppingChoice") -> "SteppingChoice":
        """What this gives, and what the other does where this gives nothing."""
        return SteppingChoice(**other.model_dump() | self.model_dump(exclude_none=True))


class Environment(Stepping):
    """Where and how a member was trained: recorded with it, not part of its key."""

    ensembudget: str
    torch: str
    device: str
    threads: PositiveInt


class Member(Record):
    """A trained network as the store describes it; its arrays lie beside."""

    run: Run
    status: Literal["done", "diverged"]
    diverged_at: NonNegativeInt | None = None
    parameters: PositiveInt
    seconds: float
    environment: Environment


class Interval(Record):
    """A value and the ends of its interval, absent where one value is all there is."""

    value: float
    low: float | None = None
    high: float | None = None


class Score(Record):
    """One ensemble: which members of a pool, and how good they are together."""

    cell: str
    members: PositiveInt
    replicate: NonNegativeInt
    accuracy: float
    nll: float
    cnll: float
    cnll_before: float
    temperature: float
    temperature_before: float
    brier: float
    ece: float
    disagreement: float | None = None


class Fit(Record):
    """A law y = c + b m^a fitted to points, or the reason why there is none.

    `status` is "ok" or a sentence; the parameters are absent where it is a sentence that says so.
    """

    law: str
    objective: str
    a: Interval | None = None
    b: Interval | None = None
    c: Interval | None = None
    residual: float | None = None
    held_out_error: float | None = None
    points: int
    smallest: float | None = None
    largest: float | None = None
    status: str


class Extrapolation(Record):
    """How many times beyond the largest that was measured; 1 is within."""

    width: float
    members: float
    budget: float


class PredictedSplit(Record):
    """A split that need not have been trained; intervals are 90%.

    `gain` is the wide network's CNLL minus this one's, nats per sample; `probability_best` of the budget.
    """

    members: PositiveInt
    width: PositiveInt
    parameters_total: PositiveInt
    cnll: Interval
    probability_best: float
    gain: Interval
    extrapolation: Extrapolation


class Prediction(Record):
    """The splits of one budget and which is expected to be the best.

    `status` is "ok", or says why the data do not carry the answer.
    """

    budget: PositiveInt
    budget_kind: str
    best: PositiveInt
    status: str
    splits: list[PredictedSplit]


class RecipeChoice(Record):
    """A study's recipe: a published table by name, with some fields laid over it."""

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


# A letter first: in a table it must not be taken for a number.
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.=, -]*$")]


class Arm(Record):
    """One way to train, side by side with others: laid over what its study says."""

    name: Name
    mode: str | None = None
    options: Options = {}
    recipe: RecipeChoice = RecipeChoice()


class Study(Record):
    """A grid of splits: which networks to train on what, for which budgets and ensemble sizes.

    `pool` members at least are trained of every width, and enough for `replicates` disjoint
    ensembles of every size; `widths` adds cells beyond those the budgets call for. A split
    narrower than `narrowest` is left out, and one that misses its budget by more than `tolerance`
    (a fraction) is refused. All of it is done once for every arm, and for every combination of
    the recipe fields that `sweep` lists values of.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    description: str
    source: str = ""
    family: str
    options: Options = {}
    dataset: str
    train_size: PositiveInt | None = None
    validation_size: NonNegativeInt = 0
    mode: str = "bn_wd"
    budget_kind: str = "parameters"
    budgets: list[str | int] = []
    dtype: Literal["float32", "float16", "bfloat16", "int8"] = "float32"
    members: Annotated[list[PositiveInt], Field(min_length=1)] = [1]
    multiple_of: PositiveInt = 1
    narrowest: PositiveInt = 1
    tolerance: Annotated[float, Field(gt=0, le=1)] = 0.05
    replicates: PositiveInt = 2
    pool: PositiveInt = 2
    widths: list[PositiveInt] = []
    keep_weights: bool = False
    stepping: SteppingChoice = SteppingChoice()
    recipe: RecipeChoice = RecipeChoice()
    arms: list[Arm] = []
    sweep: dict[str, Annotated[list[float | int | str | bool], Field(min_length=1)]] = {}
    record: Recording | None = None


class PlannedCell(Record):
    """A cell, how many members its pool holds, and where its hyperparameters come from."""

    arm: str = ""
    cell: Cell
    members: PositiveInt
    origin: Literal["tuned", "transferred", "default"]
    flops_per_sample: PositiveInt  # of one member, forward

    @property
    def runs(self) -> list[Run]:
        return [Run(cell=self.cell, seed=seed) for seed in range(self.members)]

    @property
    def training_flops(self) -> float:
        """Operations to train one member: forward, and twice that for backward."""
        return 3.0 * self.flops_per_sample * self.cell.train_size * self.cell.recipe.epochs


class Round(Record):
    """What a search trained at one time, and why: what it knew before is beside it."""

    width: PositiveInt
    seeds: list[NonNegativeInt]
    keys: list[str]
    flops: float  # of training, all seeds
    best: PositiveInt | None  # members of the split that was expected to be best, where there was a law
    confidence: float
    loss: float | None  # of a wrong choice in expectation, nats per sample
    reason: str


class Search(Record):
    """The rounds that went before, of one study, arm and budget."""

    study: Study
    arm: str
    budget: str
    rounds: list[Round] = []


class Plan(Record):
    """What a study comes to: the splits of its budgets, and the pools that serve them."""

    study: Study
    splits: list[Split]
    cells: list[PlannedCell]

    @property
    def runs(self) -> list[Run]:
        return [run for planned in self.cells for run in planned.runs]

    @property
    def arms(self) -> list[str]:
        return list(dict.fromkeys(planned.arm for planned in self.cells))

    def cell_of(self, split: Split) -> PlannedCell:
        return next(p for p in self.cells if (p.arm, p.cell.width) == (split.arm, split.width))
