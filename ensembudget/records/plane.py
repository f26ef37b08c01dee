"""The (members, width) plane as a report publishes it beside `plane.csv`."""

from typing import Literal

from pydantic import PositiveInt

from ._base import Record
from .cell import Options
from .task import AnyTask


class Network(Record):
    """What is needed to count a member of any width, and to read a budget."""

    family: str
    options: Options
    task: AnyTask
    dtype: str
    multiple_of: PositiveInt
    budget_kind: str


class PublishedCurve(Record):
    """CNLL of one width at the sizes that a law is fitted to, nats per sample, as `predict` uses it."""

    width: PositiveInt
    parameters: PositiveInt
    members: list[PositiveInt]
    cnll: list[float]
    covariance: list[list[float]]  # (size, size), nats squared


class PublishedArm(Record):
    """The plane of one arm; `network` is None where the dataset was not there to ask."""

    arm: str
    network: Network | None
    curves: list[PublishedCurve]


class PublishedPlane(Record):
    """What `plane.csv` leaves out: how sizes covary, and the networks. Its digest binds the two."""

    format: Literal[1]
    sha256: str  # of plane.csv
    arms: list[PublishedArm]
