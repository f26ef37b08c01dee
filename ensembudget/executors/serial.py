"""One job after another, in this process, with all its threads."""

from collections.abc import Iterator, Sequence
from functools import partial

from ._base import EpochReport, Executor, Job, Outcome
from ._worker import work


def execute(jobs: Sequence[Job], workers: int, on_epoch: EpochReport) -> Iterator[tuple[int, list[Outcome]]]:
    for number, job in enumerate(jobs):
        yield number, work(job, partial(on_epoch, number))


executor = Executor(execute)
