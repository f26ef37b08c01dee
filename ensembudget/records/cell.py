"""What determines a member: its cell, and its seed."""

from functools import cached_property
from typing import Annotated, Any, ClassVar

from pydantic import Field, NonNegativeInt, PositiveInt

from ._base import KeyedRecord, Record, content_key
from .recipe import Recipe

Options = dict[str, int | bool | str]


class Recording(KeyedRecord):
    """What is written down while a member trains: a row at every `every`-th epoch.

    Gradients and training loss are means along that epoch; with `fixed_pass` they are measured in a
    pass of their own at fixed weights in training mode, as the papers do, at the price of most of
    an epoch. `steps` adds a row at every so many steps, 0 none. `curvature` is how many epochs lie
    between estimates of the Hessian and the Fisher matrix, 0 none.
    """

    always_keyed: ClassVar = frozenset(
        "every test_size fixed_pass steps curvature curvature_size eigenvalues".split()
    )

    every: PositiveInt = 1
    test_size: NonNegativeInt = 1000
    fixed_pass: bool = False
    steps: NonNegativeInt = 0
    curvature: NonNegativeInt = 0
    curvature_size: Annotated[int, Field(ge=2)] = 500
    eigenvalues: NonNegativeInt = 3


class Cell(KeyedRecord):
    """Everything that determines a member but its seed."""

    always_keyed: ClassVar = frozenset(
        "family options width dataset_digest train_size validation_size mode recipe record".split()
    )

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

    def key_facts(self) -> dict[str, Any]:
        return {name: fact for name, fact in super().key_facts().items() if name != "dataset"}

    @cached_property
    def key(self) -> str:
        """A content hash of all that decides a member and its history, by the rule of `KeyedRecord`.

        The images enter as the digest of their arrays; what the dataset is called does not matter.
        """
        return content_key(self.key_facts())

    @cached_property
    def training_key(self) -> str:
        """The same without what is recorded, which does not change the logits."""
        return content_key({name: fact for name, fact in self.key_facts().items() if name != "record"})


class Run(Record):
    """One member to be trained: a cell and a seed. Cache key, remote payload and provenance."""

    cell: Cell
    seed: NonNegativeInt

    @cached_property
    def key(self) -> str:
        """The member's name in a store: SHA-256 in hexadecimal."""
        return content_key({"cell": self.cell.key, "seed": self.seed})

    @cached_property
    def stream_key(self) -> str:
        """What its random streams follow from: a member is the same with a history and without."""
        return content_key({"cell": self.cell.training_key, "seed": self.seed})
