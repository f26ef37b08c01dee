"""How high the loss rises between members: along straight lines, optimised paths, and in hulls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from ..catalog import PROBES
from ..landscape.paths import barrier
from ..records import Interval, Point, Probed, Setting, Values
from ..scoring.pools import FoundProbe, Results
from .means import ANY, mean_of
from .probes import grouped

RISES = (0.0, float("inf"))  # of a path: its ends are on it

Reads = Callable[[Point], float | None]
TRAIN: Reads = attrgetter("train_loss")
TEST: Reads = attrgetter("test_nll")
ERROR: Reads = attrgetter("test_error")


@dataclass(frozen=True)
class Connection:
    """One kind of connection between members of one pool, over all groups that it was measured at.

    Attributes:
        setting: Of the pool.
        width: Of the pool.
        kind: The probe.
        is_hull: Whether it joins members at a centre, and not two by a path.
        options: Of the probe.
        joined: Members in one group: 2 of a path, m + 1 of an m-connector.
        found: What was measured, one a group.
        train: The barrier: how far the training loss rises above the straight line between the values at the
            ends, at most; of a hull, the loss at the moved centre minus the members' mean. Nats.
        test: The same of the test NLL, nats.
        error: The same of the test error.
        straight: The training barrier of the straight line, or of the centre before it was moved, between the
            same members, aligned alike; None where no line was measured.
        unaligned: The training barrier of the straight line without alignment.
        share: `train` of each group over its `unaligned`, averaged; None where some line has no barrier.
        distance: Between the ends.
        norm: Of the weights at the ends.
        short_end: About how many short directions a member has.
        short_middle: About how many the middle has.
    """

    setting: Setting
    width: int
    kind: str
    is_hull: bool
    options: Values
    joined: int
    found: tuple[Probed, ...]
    train: Interval | None
    test: Interval | None
    error: Interval | None
    straight: Interval | None
    unaligned: Interval | None
    share: Interval | None
    distance: Interval | None
    norm: Interval | None
    short_end: Interval | None
    short_middle: Interval | None

    @property
    def path(self) -> str:
        """What it is called: the probe, or the shape of a curve."""
        return str(self.options.get("shape", self.kind))

    @property
    def aligned(self) -> bool | None:
        """Whether the second member was aligned to the first; None of a hull."""
        return None if self.is_hull else bool(self.options["aligned"])


def connections(results: Results) -> tuple[Connection, ...]:
    """Every path and hull that was measured, in the order of the study's probes."""
    lines = {
        ("".join(one.subject.members), bool(one.subject.options["aligned"])): _path_rise(one, TRAIN)
        for group in grouped(results, "straight")
        for _, one in group
    }
    return tuple(_connection(group, lines) for group in grouped(results, "straight", "path", "hull"))


def _connection(group: Sequence[FoundProbe], lines: dict[tuple[str, bool], float | None]) -> Connection:
    planned, subject = group[0].planned, group[0].probed.subject
    found = tuple(one.probed for one in group)
    members = ["".join(one.subject.members) for one in found]
    is_hull = PROBES[subject.kind].shows == "hull"
    rise = _hull_rise if is_hull else _path_rise
    train = [rise(one, TRAIN) for one in found]
    if is_hull:
        straight = [_hull_rise(one, TRAIN, centre=0) for one in found]
        unaligned = straight
    else:
        aligned = bool(subject.options["aligned"])
        straight = [lines.get((key, aligned)) for key in members]
        unaligned = [lines.get((key, False)) for key in members]
    bounds = ANY if is_hull else RISES
    facts = {
        name: mean_of([one.facts.get(name) for one in found])
        for name in ("distance", "norm", "short_end", "short_middle")
    }
    return Connection(
        setting=planned.setting,
        width=planned.cell.width,
        kind=subject.kind,
        is_hull=is_hull,
        options=subject.options,
        joined=len(subject.members),
        found=found,
        train=mean_of(train, bounds),
        test=mean_of([rise(one, TEST) for one in found], bounds),
        error=mean_of([rise(one, ERROR) for one in found], bounds),
        straight=mean_of(straight, bounds),
        unaligned=mean_of(unaligned, bounds),
        share=mean_of([_over(one, line) for one, line in zip(train, unaligned, strict=True)], bounds),
        **facts,
    )


def _path_rise(found: Probed, value: Reads) -> float | None:
    return barrier(found.points, value)


def _hull_rise(found: Probed, value: Reads, centre: int = 1) -> float | None:
    """The value at a hull's centre minus the members' mean; centre 0 is before it moved."""
    values = [value(point) for point in found.points]
    known = [one for one in values[2:] if one is not None]
    here = values[centre]
    return None if here is None or len(known) < len(values) - 2 else here - float(np.mean(known))


def _over(one: float | None, line: float | None) -> float | None:
    """A barrier as a share of the line's; None where the line has none."""
    return None if one is None or line is None or line <= 0 else one / line
