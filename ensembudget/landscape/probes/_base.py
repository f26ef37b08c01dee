"""The contract of a probe: a measurement at some members of one pool, or of the loss between them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ...datasets._base import Arrays
from ...records import FIRST_ABI, Point, Value, Values
from ..site import Site

OnShare = Callable[[float], None]  # the share of a measurement that is done, up to 1


@dataclass(frozen=True)
class Findings:
    """The result of one measurement.

    Attributes:
        points: Networks that were evaluated, in the order of the probe.
        facts: Further numbers by name; None where one is not finite.
        examples: Texts that show what was measured, by name.
    """

    points: list[Point] = field(default_factory=list)
    facts: dict[str, float | None] = field(default_factory=dict)
    examples: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Probe:
    """One kind of measurement.

    Attributes:
        measure: `measure(site, options, on_share)` measures at the site's members, one group of them.
        groups: `groups(pool, options)` says which members of a pool each measurement is of, by their places
            in it: as many groups as the options ask for, or as the pool has. Groups that are compared with
            each other or averaged share no member.
        needs: `needs(options)` is how many members a pool must have for all that the options ask for.
        shows: What its findings are read as. Of a `straight` line and of any other `path` between two
            members, points from one to the other, `at` from 0 to 1; of a `hull`, the members' mean, the
            moved centre, and the members; of a `radius`, the member, and facts `radius` and `norm`; of a
            `cut`, where training ended in it, and the member. Of `outside` samples and of `sentences` there
            are facts alone. "" leaves them to a table of their own.
        options: With their defaults; their types are those that a study may give.
        choices: The values that a text option may take.
        fault: `fault(options, parameters)` says in a sentence why these options cannot be measured on a
            network of so many parameters, or returns None.
        tasks: The kinds of task that it can be measured on; empty means all.
        lacks: `lacks(arrays)` says in a sentence what the probe needs that the dataset, or this installation,
            does not have, or returns None.
        each_size: Whether the probe has an option `members`, the size of its groups, of which 0 means every
            ensemble size that the study makes of the pool, each measured separately.
        abi: Raised when the same members and options would give other findings, so that a store never mixes
            the two.
    """

    measure: Callable[[Site, Values, OnShare], Findings]
    groups: Callable[[int, Values], list[tuple[int, ...]]]
    needs: Callable[[Values], int]
    shows: Literal["straight", "path", "hull", "radius", "cut", "outside", "sentences", ""] = ""
    options: Mapping[str, Value] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fault: Callable[[Values, int], str | None] = lambda options, parameters: None
    tasks: frozenset[str] = frozenset()
    lacks: Callable[[Arrays], str | None] = lambda arrays: None
    each_size: bool = False
    abi: int = FIRST_ABI
