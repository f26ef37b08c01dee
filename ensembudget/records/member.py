"""A trained network, and where it was trained."""

from typing import Literal

from pydantic import NonNegativeInt, PositiveInt

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
    def stepping(self) -> Stepping:
        return Stepping(**self.model_dump(include=set(Stepping.model_fields)))


class Member(Record):
    """A trained network as the store describes it; its arrays are files beside the description."""

    run: Run
    status: Literal["done", "diverged"]
    diverged_at: NonNegativeInt | None = None
    parameters: PositiveInt
    seconds: float
    environment: Environment
