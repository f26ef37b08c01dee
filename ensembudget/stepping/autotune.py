"""Which stepping is fastest for a cell on this machine: measured briefly, and kept for the next run."""

import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any, NamedTuple, NoReturn, TypeVar

import torch

from ..catalog import TASKS
from ..records import AnyTask, Cell, Record, Stepping, SteppingChoice
from ..threads import torch_threads
from .axes import BETTER, axes, coordinate_search
from .measured import Shape, Timing, hardware, keep, known, shape_of
from .memory import keep_freed
from .place import Place, devices
from .timing import STEPS, time_steps, try_steps

T = TypeVar("T")

# Of a run's time a twentieth may be spent on autotuning: half of it on steppings, and half on starting
# processes, which takes some 15 seconds, most of it torch's import.
SHARE = 0.025
WORTH = 15 / SHARE  # seconds: a run that is shorter is not autotuned
SLOW = 5e9  # operations a second of one CPU core at its worst: what is short by this needs no trial
COMPILING = 20.0  # seconds that compiling is taken to need before it was measured


class Request(Record):
    """What is asked for one cell: a stepping for so many members, with some of it given."""

    cell: Cell
    task: AnyTask
    members: int
    flops: float  # of training one member
    fixed: SteppingChoice
    place: Place

    @property
    def shape(self) -> Shape:
        return shape_of(self.cell, self.task, self.place, hardware(self.place.device))

    @property
    def plainest(self) -> Stepping:
        """What is given, and the defaults."""
        return Stepping(**self.fixed.fixed)

    @property
    def longest(self) -> float:
        """Seconds that training takes at most, guessed from its operations alone."""
        return self.flops * self.members / (SLOW * self.place.workers * self.place.threads)

    def measuring(self, stepping: Stepping, plain: Timing) -> float:
        """Seconds that timing a stepping may take, from the timing of the plainest."""
        if stepping.compiled:
            return COMPILING
        # A pack takes at most as long as its members one by one.
        return (STEPS + 2) * (plain.seconds or 0.0) * stepping.pack / plain.stepping.pack

    @property
    def axes(self) -> list[list[dict[str, Any]]]:
        """What may be varied where nothing is fixed."""
        return axes(self.place.device, self.members, layouts=TASKS[self.task.kind].layouts)

    @property
    def is_open(self) -> bool:
        """Whether anything may be varied."""
        values = [value for axis in self.axes for value in axis]
        return any(not set(value) & set(self.fixed.fixed) for value in values)

    def seconds(self, timing: Timing) -> float:
        """How long training the cell takes at this timing, infinite where it cannot be stepped so."""
        if timing.seconds is None:
            return float("inf")
        packs = -(-self.members // timing.stepping.pack)
        # Fewer packs than workers leave some idle.
        return timing.first + self.cell.steps * timing.seconds * max(1.0, packs / self.place.workers)


class Chosen(NamedTuple):
    """A cell's stepping, and its timing; None where nothing was measured."""

    stepping: Stepping
    timing: Timing | None


class UnmeasuredError(Exception):
    """Something worth measuring was not measured yet, and may not be now."""


def time_request(request: Request, stepping: Stepping) -> Timing:
    """Times a stepping of a request's cell, in this process."""
    return time_steps(request.cell, request.task, stepping, request.place.device)


def try_request(request: Request) -> Timing:
    """Times a few of the plainest steps of a request's cell, in this process."""
    with torch_threads(request.place.threads):
        return try_steps(request.cell, request.task, request.plainest, request.place.device)


def spawned(workers: int) -> Executor:
    """Processes like those of a run."""
    return ProcessPoolExecutor(workers, get_context("spawn"), _begin)


def _begin() -> None:
    """Ctrl-C is the parent's to hear, which ends its processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed()


@dataclass(frozen=True)
class Bench:
    """How measurements are made.

    Attributes:
        measure: Times one stepping of a request's cell.
        pool: Starts so many workers, that steppings are timed beside others as they will run.
        clock: Seconds that have passed.
        trial: Times a few of the plainest steps of a request's cell.
    """

    measure: Callable[[Request, Stepping], Timing] = time_request
    pool: Callable[[int], Executor] = spawned
    clock: Callable[[], float] = time.monotonic
    trial: Callable[[Request], Timing] = try_request

    def map(
        self, work: Callable[["Bench", Request], T], requests: Sequence[Request], lost: Callable[[Request], T]
    ) -> list[T]:
        """`work(bench, request)` of each, in workers of the requests' place; `lost` where one is killed."""
        workers, device = requests[0].place.workers, requests[0].place.device
        # One process a GPU slows no other, so one alone tells.
        if workers <= len(devices(device, torch.cuda.device_count())):
            keep_freed()
            return [work(self, request) for request in requests]
        try:
            with self.pool(workers) as pool:
                try:
                    return list(pool.map(partial(work, self), requests))
                except KeyboardInterrupt:  # leaving the pool would wait for all that is measured
                    for process in list((getattr(pool, "_processes", None) or {}).values()):
                        process.terminate()
                    raise
        except BrokenProcessPool:  # killed for its memory, say: nothing is known then, and nothing stops
            return [lost(request) for request in requests]


BENCH = Bench()


def refuse(*anything: object) -> NoReturn:
    """In place of a measurement."""
    raise UnmeasuredError


UNUSED = Bench(refuse, refuse, trial=refuse)  # where nothing may be measured


def choose(request: Request, bench: Bench = UNUSED) -> Chosen:
    """The fastest stepping for one cell, from what is known and what is worth measuring.

    The plainest is always timed. A share of what the cell would take by it may be spent on others, over
    all commands together, so that rerunning a command chooses the same.

    Args:
        request: What is asked.
        bench: Measures; by default nothing may be measured.

    Raises:
        UnmeasuredError: Something is worth measuring, and may not be measured.
    """
    shape, plainest = request.shape, request.plainest
    before = known(shape)
    timings, spent = {timing.stepping: timing for timing in before.timings}, before.spent

    def cost(stepping: Stepping) -> float:
        nonlocal spent
        if stepping not in timings:
            if stepping != plainest:
                left = SHARE * request.seconds(timings[plainest]) - spent
                if left < request.measuring(stepping, timings[plainest]):
                    return float("inf")
            began = bench.clock()
            timings[stepping] = bench.measure(request, stepping)
            spent += bench.clock() - began
            keep(before.model_copy(update={"timings": tuple(timings.values()), "spent": spent}))
        return request.seconds(timings[stepping])

    cost(plainest)
    best = coordinate_search(cost, request.fixed.fixed, request.axes)
    return Chosen(best, timings[best])


def choose_all(requests: Sequence[Request], *, worth: bool, bench: Bench = BENCH) -> list[Chosen]:
    """A stepping for each cell. What must be measured is, in as many processes as the run will have.

    Args:
        requests: One a cell, all of one place.
        worth: Whether the run is long enough to earn the measurements back.
        bench: How they are made.
    """
    if not worth or not any(request.is_open for request in requests):
        return [plainest(request) for request in requests]
    # Cells that differ only in what takes no time, as arms do, are measured once.
    different = {(request.shape.path, request.members): request for request in requests}
    try:
        found = {key: choose(request) for key, request in different.items()}
    except UnmeasuredError:
        chosen = bench.map(_chosen, list(different.values()), plainest)
        found = dict(zip(different, chosen, strict=True))
    return [found[request.shape.path, request.members] for request in requests]


def tried(request: Request, bench: Bench = BENCH) -> Timing:
    """A few of the plainest steps: those of an earlier command, or else timed now and kept."""
    before = known(request.shape)
    found = next((timing for timing in before.trials if timing.stepping == request.plainest), None)
    if found is None:
        found = bench.trial(request)
        keep(before.model_copy(update={"trials": (*before.trials, found)}))
    return found


def is_worth(requests: Sequence[Request], bench: Bench = BENCH) -> bool:
    """Whether a run of all these is long enough to earn measurements back.

    It is judged by a trial of the costliest cell, and by the operations of the others. The trial is kept, so
    that rerunning a command judges the same.
    """
    if sum(request.longest for request in requests) < WORTH:
        return False
    costliest = max(requests, key=lambda request: request.flops * request.members)
    seconds = costliest.seconds(tried(costliest, bench))
    whole = sum(request.flops * request.members for request in requests)
    return seconds * whole / (costliest.flops * costliest.members) >= WORTH


def choose_place(request: Request, places: Sequence[Place], *, worth: bool, bench: Bench = BENCH) -> Place:
    """How processes and threads share the machine: the first of the places, or a faster one.

    Args:
        request: For the costliest cell, which the run waits for.
        places: Several processes of one thread, say, and one process of several.
        worth: Whether the run is long enough to earn the measurements back.
        bench: How they are made.
    """
    if not worth or len(places) == 1:
        return places[0]
    costs = []
    for one in (request.model_copy(update={"place": place}) for place in places):
        before = known(one.shape)
        timing = next((t for t in before.timings if t.stepping == one.plainest), None)
        if timing is None:  # in all processes at once, as they will run
            timing = bench.map(_timed, [one] * one.place.workers, _killed)[0]
            keep(before.model_copy(update={"timings": (*before.timings, timing)}))
        costs.append(one.seconds(timing))
    best = min(range(len(places)), key=costs.__getitem__)
    return places[best] if costs[best] < BETTER * costs[0] else places[0]


def plainest(request: Request) -> Chosen:
    """The request's plainest stepping, unmeasured."""
    return Chosen(request.plainest, None)


def _chosen(bench: Bench, request: Request) -> Chosen:
    with torch_threads(request.place.threads):
        return choose(request, bench)


def _timed(bench: Bench, request: Request) -> Timing:
    with torch_threads(request.place.threads):
        return bench.measure(request, request.plainest)


def _killed(request: Request) -> Timing:
    return Timing(stepping=request.plainest, fault="its process was killed")
