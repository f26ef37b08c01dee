"""How far a run is."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..executors._base import Job


@dataclass(frozen=True)
class Progress:
    """How far a run is: members or probes ended of those that were missing, share of the work, seconds."""

    ended: int
    missing: int
    share: float
    seconds: float

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the work done so far; None before there is any."""
        return self.seconds * (1 - self.share) / self.share if self.share > 0 else None


class Follower:
    """Sums what jobs report into the share of the work that is done.

    Args:
        jobs: All jobs of the run.
        work: Of each of them, in any unit.
        on_progress: Called with every report.
    """

    def __init__(
        self, jobs: Sequence[Job], work: Sequence[float], on_progress: Callable[[Progress], None]
    ) -> None:
        self._work = work
        self._lengths = [job.length for job in jobs]
        self._sizes = [len(job.keys) for job in jobs]
        self._done = [0] * len(jobs)
        self._began, self._on_progress = time.monotonic(), on_progress

    def __call__(self, job: int, done: int) -> None:
        self._done[job] = done
        shares = [done / length for done, length in zip(self._done, self._lengths, strict=True)]
        self._on_progress(
            Progress(
                ended=sum(size for size, share in zip(self._sizes, shares, strict=True) if share == 1),
                missing=sum(self._sizes),
                share=sum(w * s for w, s in zip(self._work, shares, strict=True)) / sum(self._work),
                seconds=time.monotonic() - self._began,
            )
        )
