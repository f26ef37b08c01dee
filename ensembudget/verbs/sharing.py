"""Does jobs beside other runs on the same store: each takes what no other has, and waits only at its end."""

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from ..errors import EnsembudgetError
from ..executors._base import EpochReport, Executor, Job, Outcome
from ..executors._worker import is_done, outcomes_of
from ..store import Claim, Store

T = TypeVar("T")

EVERY = 0.5  # seconds between looks at what other runs have


def shared(
    jobs: Sequence[Job], store: Store, part: Executor, workers: int, on_epoch: EpochReport
) -> Iterator[tuple[int, list[Outcome]]]:
    """The outcomes of jobs as they end, here or in another run, each job once.

    What another run has is left for the end. It is done here then where that run gave it up.

    Args:
        jobs: What is to be done.
        store: Where they publish.
        part: Does them.
        workers: How many at one time.
        on_epoch: Called with a job's number and how much of its length is done, its end included.
    """
    rest, held = list(range(len(jobs))), dict[int, None]()  # in the order in which they were met

    def report(place: int, done: int) -> None:
        if asked[place] not in held:  # some executors report the end of whatever they asked for
            on_epoch(asked[place], done)

    while rest:
        asked, rest = rest, []
        with closed(part.execute([jobs[number] for number in asked], workers, report)) as ended:
            for place, outcomes in ended:
                number = asked[place]
                if any(one.status == "held" for one in outcomes):
                    held[number] = None
                else:
                    on_epoch(number, jobs[number].length)
                    yield number, outcomes
                # Those met first end first, so most are counted while this run goes on.
                while held and (found := _ended(jobs[first := next(iter(held))], store)):
                    del held[first]
                    on_epoch(first, jobs[first].length)
                    yield first, found
        claims = {number: store.claim(jobs[number].keys) for number in held}
        while held and not rest:
            for number in list(held):
                if found := _ended(jobs[number], store):
                    on_epoch(number, jobs[number].length)
                    yield number, found
                elif _is_free(claims[number]):
                    rest.append(number)
                else:
                    continue
                del held[number]
            if held and not rest:
                time.sleep(EVERY)


@contextmanager
def closed(some: Iterator[T]) -> Iterator[Iterator[T]]:
    """Closes an iterator on exit: an executor's processes must not wait for the garbage collector."""
    try:
        yield some
    finally:
        if isinstance(some, Generator):
            some.close()


def _ended(job: Job, store: Store) -> list[Outcome]:
    """The outcome of a job that another run did; nothing if it is not done."""
    try:
        return outcomes_of(job, store, by_other=True) if is_done(job, store) else []
    except EnsembudgetError as error:
        return job.failed(str(error))


def _is_free(claim: Claim) -> bool:
    if taken := claim.take():
        claim.release()
    return taken
