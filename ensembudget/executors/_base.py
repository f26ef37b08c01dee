"""The contract of an executor: the jobs it gets, the outcomes it reports, and its properties."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from ..records import ProbeSubject, Record, Run, Stepping
from ..stepping.place import Place, places

CHECKPOINT_SECONDS = 60.0  # the most that a kill costs; members that take less keep no checkpoint
PROBE_LENGTH = 100  # a probe reports how much of it is done in hundredths


class Job(Record):
    """Members of one cell to be trained side by side, and all that a worker must know.

    With `probe` they are trained, and the probe is measured at them.
    """

    runs: list[Run]
    store: str
    device: str
    threads: int
    stepping: Stepping
    keep_weights: bool
    checkpoint_seconds: Annotated[float, Field(ge=0)] = CHECKPOINT_SECONDS
    probe: ProbeSubject | None = None

    @property
    def keys(self) -> list[str]:
        """The keys of its outcomes: members, or the probe."""
        return [self.probe.key] if self.probe else [run.key for run in self.runs]

    @property
    def length(self) -> int:
        """What its last report says: epochs of training, or hundredths of a probe."""
        return PROBE_LENGTH if self.probe else self.runs[0].cell.recipe.epochs

    def failed(self, reason: str) -> "list[Outcome]":
        return [Outcome(key=key, status="failed", reason=reason) for key in self.keys]

    def held(self) -> "list[Outcome]":
        return [Outcome(key=key, status="held") for key in self.keys]


class Outcome(Record):
    """How the training of one member ended, or one probe.

    Attributes:
        status: `held` where another run has it now: it is asked for again, and never how a run ends. `kept`
            where another training of it, elsewhere or stepped otherwise, is stored and stays, with other
            logits; `conflict` where that one was trained in the same environment, and should be equal.
        reason: Why it failed, or how the stored one differs.
        note: Something to be told of what went well.
        log: The end of what its process wrote, where that died.
        by_other: Whether it is done, and another run did it.
    """

    key: str
    status: Literal["done", "diverged", "failed", "held", "kept", "conflict"]
    reason: str | None = None
    note: str | None = None
    log: str | None = None
    by_other: bool = False


EpochReport = Callable[[int, int], None]  # (job, how much of its length is done)
OptionValue = int | float | bool | str


@dataclass(frozen=True)
class Executor:
    """One way to get jobs done.

    Attributes:
        execute: `execute(jobs, workers, on_epoch)` yields (job number, outcomes) as jobs end, in
            any order, at most `workers` of them at one time. A job that raises is outcomes with a
            reason, never an exception; one that another run holds is outcomes that say so.
        places: `places(device, workers, threads)` is where jobs may run, the usual place first; None
            leaves a number to the executor. Raises `DeviceError` where such a job could never start.
        here: Whether its workers are on this machine, so that timings here tell of them.
        options: Of its own, with their defaults; `execute` and `places` get all of them by name.
    """

    execute: Callable[..., Iterator[tuple[int, list[Outcome]]]]
    places: Callable[..., list[Place]] = places
    here: bool = True
    options: Mapping[str, OptionValue] = field(default_factory=dict)
