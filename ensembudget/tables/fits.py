"""One row a law that was fitted to anybody's points."""

from typing import NamedTuple

from ..records import Fit
from ._base import Column, Table
from .power_laws import FIT
from .power_laws import table as power_laws


class FittedColumns(NamedTuple):
    """Two columns of a CSV, and the law through them."""

    x: str
    y: str
    fit: Fit


table = Table(
    "fits",
    "Fitted law",
    (Column("x", "x"), Column("y", "y"), *FIT),
    void=power_laws.void,
    refused=power_laws.refused,
    about="fit",
    summary=("x", "y", "a", "b", "c", "status", "points"),
)
