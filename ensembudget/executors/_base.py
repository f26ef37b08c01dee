"""What an executor is handed, what it reports, and what it must say of itself."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ..records import Record, Run, Stepping
from ..stepping.place import Place, places


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
            any order, at most `workers` of them at one time. A job that raises is outcomes with a
            reason, never an exception.
        places: `places(device, workers, threads)` is where jobs may run, the usual place first; None
            leaves a number to the executor. Raises `DeviceError` where such a job could never start.
        here: Whether its workers are on this machine, so that timings here tell of them.
    """

    execute: Callable[[Sequence[Job], int, EpochReport], Iterator[tuple[int, list[Outcome]]]]
    places: Callable[[str, int | None, int | None], list[Place]] = places
    here: bool = True
