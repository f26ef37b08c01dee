"""What determines a member: its cell and its seed."""

import hashlib
from functools import cached_property
from typing import Annotated, Any, ClassVar

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationInfo, model_validator

from ._base import DOCUMENTED, FIRST_ABI, TRAINING_ABI, KeyedRecord, Record, content_key
from .recipe import Recipe

FLOAT32 = "float32"  # the dtype of networks as they are trained
INDEPENDENT = "independent"  # the method whose unit is one network

STORED = "stored"  # the validation context of documents that an older version may have written

Options = dict[str, int | bool | str]
MethodOptions = dict[str, int | float | bool | str]


class Recording(KeyedRecord):
    """What is recorded while a member trains. Gradients and training loss are means over the epoch."""

    model_config = DOCUMENTED

    always_keyed: ClassVar = frozenset(
        "every test_size fixed_pass steps curvature curvature_size eigenvalues".split()
    )

    every: PositiveInt = 1
    """Epochs from one row to the next. Example: `every = 2`"""
    test_size: NonNegativeInt = 1000
    """Test images on which loss and error are recorded; 0 for none. Example: `test_size = 500`"""
    fixed_pass: bool = False
    """Whether gradients are measured in a pass of their own at fixed weights, as in the papers. It takes
    almost as long as an epoch.

    Example: `fixed_pass = true`
    """
    steps: NonNegativeInt = 0
    """Adds a row every so many steps; 0 for never. Example: `steps = 10`"""
    curvature: NonNegativeInt = 0
    """Estimates the Hessian and the Fisher matrix every so many epochs; 0 for never.

    Example: `curvature = 5`
    """
    curvature_size: Annotated[int, Field(ge=2)] = 500
    """Training images by which curvature is estimated. Example: `curvature_size = 200`"""
    eigenvalues: NonNegativeInt = 3
    """How many of the largest eigenvalues are estimated. Example: `eigenvalues = 5`"""


class Cell(KeyedRecord):
    """Everything that determines a member except its seed.

    Members are trained in float32. Those of another dtype are made of these: their weights are rounded to it,
    and the logits are of the rounded network.

    A member is a unit of its method: one network, or several predictors whose probabilities are averaged,
    from one training run. `method_options` are all of the method's.

    Where every position of a sample is predicted, `scored` positions of each part of the dataset are scored
    and have their logits kept; None means all.

    Subsets are disjoint draws of `train_size` images. `training_abi` says which rules of training it means;
    this version trains by the newest alone, and reads and scores members of all.
    """

    always_keyed: ClassVar = frozenset(
        "family options width dataset_digest train_size validation_size mode recipe record"
        " training_abi".split()
    )

    family: str
    options: Options
    width: PositiveInt
    dataset: str
    dataset_digest: str
    train_size: PositiveInt
    subset: NonNegativeInt = 0
    validation_size: NonNegativeInt
    mode: str
    recipe: Recipe
    record: Recording | None = None
    training_abi: PositiveInt = TRAINING_ABI
    dtype: str = FLOAT32
    method: str = INDEPENDENT
    method_options: MethodOptions = {}
    scored: PositiveInt | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_the_first_abi(cls, facts: Any, info: ValidationInfo) -> Any:
        """A stored cell that names no training ABI was written before there was a second."""
        if info.context == STORED and isinstance(facts, dict):
            return {"training_abi": FIRST_ABI, **facts}
        return facts

    def key_facts(self) -> dict[str, Any]:
        return {name: fact for name, fact in super().key_facts().items() if name != "dataset"}

    @property
    def trained(self) -> "Cell":
        """The cell whose members are trained for this one: itself, in float32."""
        return self if self.is_trained else self.model_copy(update={"dtype": FLOAT32})

    @property
    def is_trained(self) -> bool:
        """Whether members are trained, and not rounded from trained ones."""
        return self.dtype == FLOAT32

    @property
    def steps(self) -> int:
        """Of one member: a last batch of one image is left out, as batch norm needs two."""
        size = self.recipe.batch_size
        alone = self.train_size > size and self.train_size % size == 1
        return self.recipe.epochs * (-(-self.train_size // size) - alone)

    @cached_property
    def key(self) -> str:
        """A content hash of all that decides a member and its history, by the rule of `KeyedRecord`.

        The images enter as the digest of their arrays; what the dataset is called does not matter.
        """
        return content_key(self.key_facts())

    @cached_property
    def start_key(self) -> str:
        """Of the network and the images alone, without how they are trained and what is recorded."""
        how = {"scored", "mode", "recipe", "record", "dtype", "method", "method_options"}
        return content_key({name: fact for name, fact in self.key_facts().items() if name not in how})


def member_key(cell: str, seed: int) -> str:
    """The key of a member: `content_key` of its cell's key and its seed, an order of magnitude faster.

    A plan may have a million members, and canonical JSON of two plain values can be written down at once.

    Example:
        >>> member_key("ab", 3) == content_key({"cell": "ab", "seed": 3})
        True
    """
    facts = f'{{"cell":"{cell}","seed":{seed},"training_abi":{FIRST_ABI}}}'
    return hashlib.sha256(facts.encode()).hexdigest()


class Run(Record):
    """One member to train: a cell and a seed. It serves as cache key, job for a worker and provenance."""

    cell: Cell
    seed: NonNegativeInt

    @cached_property
    def key(self) -> str:
        """The member's name in a store: SHA-256 in hexadecimal."""
        return member_key(self.cell.key, self.seed)

    @property
    def trained(self) -> "Run":
        """The member that is trained for this one."""
        return self.model_copy(update={"cell": self.cell.trained})

    @cached_property
    def stream_key(self) -> str:
        """Seeds the member's random streams: initial weights, order of batches, augmentation, dropout.

        Neither mode nor recipe nor method enters it: all rates of a sweep have one start for each seed, as in
        the code of Kodryan et al. 2022, and the arms of a study are compared from equal starts.
        """
        return content_key({"start": self.cell.start_key, "seed": self.seed})
