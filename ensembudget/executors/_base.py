"""What an executor is handed, what it reports, and the work itself: train a pack and publish it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ..records import Record, Run, Stepping


class Job(Record):
    """Members of one cell to be trained side by side, and all that a worker must know."""

    runs: list[Run]
    store: str
    device: str
    threads: int
    stepping: Stepping
    keep_weights: bool


class Outcome(Record):
    """How one member went."""

    key: str
    status: Literal["done", "diverged", "failed"]
    reason: str | None = None


EpochReport = Callable[[int, int], None]  # (job, epochs done)


@dataclass(frozen=True)
class Executor:
    """One way to get jobs done.

    Attributes:
        execute: `execute(jobs, workers, on_epoch)` yields (job number, outcomes) as jobs end, in
            any order. A job that raises is outcomes with a reason, never an exception.
        workers: How many it uses when nobody says, given a device.
        here: Whether its workers are on this machine, so that trials here tell of them.
    """

    execute: Callable[[Sequence[Job], int, EpochReport], Iterator[tuple[int, list[Outcome]]]]
    workers: Callable[[str], int] = lambda device: 1
    here: bool = True
