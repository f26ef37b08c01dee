"""A claim as `claims.toml` lists it, and the rule that judges it."""

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, model_validator

LISTED = Path(__file__).with_name("claims.toml")

Where = dict[str, str | int | float | list[str | int | float]]


class Verdict(StrEnum):
    """What an interval says of a claim."""

    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    UNDECIDED = "undecided"


class Listed(BaseModel):
    """Frozen, and strict about its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(Listed):
    """The side that a claim is about: one field, its threshold or its range.

    >>> [str(Rule(below=0).verdict(low, low + 1)) for low in (-2, -0.5, 0)]
    ['supported', 'undecided', 'not supported']
    """

    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None
    between: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"a rule names one side, and this one {len(self.model_fields_set)}")
        if self.between and not self.between[0] < self.between[1]:
            raise ValueError(f"nothing lies between {self.between[0]:g} and {self.between[1]:g}")
        return self

    def verdict(self, low: float, high: float) -> Verdict:
        """Supported or not where the whole interval lies on one side, undecided else."""
        holds = [self._holds(end) for end in (low, high)]
        if all(holds):
            return Verdict.SUPPORTED
        outside = self.between is None or high < self.between[0] or low > self.between[1]
        return Verdict.NOT_SUPPORTED if outside and not any(holds) else Verdict.UNDECIDED

    def _holds(self, value: float) -> bool:
        if self.between is not None:
            return self.between[0] <= value <= self.between[1]
        return (
            (self.above is not None and value > self.above)
            or (self.at_least is not None and value >= self.at_least)
            or (self.below is not None and value < self.below)
            or (self.at_most is not None and value <= self.at_most)
        )

    def __str__(self) -> str:
        (name,) = self.model_fields_set
        if self.between is not None:
            return f"between {self.between[0]:g} and {self.between[1]:g}"
        return f"{name.replace('_', ' ')} {getattr(self, name):g}"


class Claim(Listed):
    """One claim, and how a study speaks to it.

    Attributes:
        id: Short, once in the file.
        claim: In plain words.
        source: Author and year, where it says so, and how that is known.
        studies: Folders of tables that speak to it, each for itself.
        quantity: What is read, in words, with its unit.
        table: The stem of the CSV.
        statistic: A name of `statistics.STATISTICS`.
        column: What the statistic is of; its interval is in columns `_low` and `_high`.
        supported: The side on which the claim holds.
        where: Rows that are read. A value is equalled, "> 1" compared, "known" is any; "smallest",
            "largest" and "last" are looked up among the rows left. A key that ends in "?" selects only where
            there is such a column.
        first: Of two sides that are compared, the rows of the first.
        second: Those of the second.
        each: Columns of which every value that `where` leaves rows of is a row of the ledger.
        over: A column that `column` is divided by.
        equals: What is counted.
        interval: What the interval is, where it is not the statistic's.
        no_interval: Why there is none.
    """

    id: str
    claim: str
    source: str
    studies: tuple[str, ...]
    quantity: str
    table: str
    statistic: str
    column: str
    supported: Rule
    where: Where = {}
    first: Where = {}
    second: Where = {}
    each: tuple[str, ...] = ()
    over: str = ""
    equals: str = ""
    interval: str = ""
    no_interval: str = ""


class Source(Listed):
    """Where a folder of tables comes from.

    Attributes:
        study: A preset or a TOML file; "" where no study's report makes the tables.
        setting: What the tables are of, where no manifest says so.
        note: What else a reader must know of the setting.
        seen: Whether its results were known when the rules were written.
    """

    study: str = ""
    setting: str = ""
    note: str = ""
    seen: bool


class Claims(Listed):
    """The whole file."""

    studies: dict[str, Source]
    claims: tuple[Claim, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ids = [one.id for one in self.claims]
        if twice := sorted({one for one in ids if ids.count(one) > 1}):
            raise ValueError(f"claims listed twice: {', '.join(twice)}")
        if unknown := sorted({name for one in self.claims for name in one.studies} - set(self.studies)):
            raise ValueError(f"studies that are not listed: {', '.join(unknown)}")
        return self


def read_claims(path: Path = LISTED) -> Claims:
    """The claims of a file."""
    document: dict[str, Any] = tomllib.loads(path.read_text())
    return Claims.model_validate(document)
