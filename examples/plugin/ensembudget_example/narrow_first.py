"""One job after another in this process, the narrowest networks first."""

from collections.abc import Iterator, Sequence
from functools import partial

from ensembudget.executors._base import EpochReport, Executor, Job, Outcome
from ensembudget.executors._worker import work


def execute(jobs: Sequence[Job], workers: int, on_epoch: EpochReport) -> Iterator[tuple[int, list[Outcome]]]:
    for number, job in sorted(enumerate(jobs), key=lambda one: one[1].runs[0].cell.width):
        yield number, work(job, partial(on_epoch, number))


executor = Executor(execute)
