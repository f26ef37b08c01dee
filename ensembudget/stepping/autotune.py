"""Which way to step is fastest for a cell on this machine: short trials, kept for the next run."""

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from typing import Any, NamedTuple, TypeVar

import torch

from ..files import write_whole
from ..records import Cell, Record, Stepping, SteppingChoice, Task
from ..threads import torch_threads
from ..training.memory import keep_freed
from .timing import Place, Shape, Timing, hardware, shape_of, time_steps

T = TypeVar("T")

PACKS = (1, 2, 4, 8, 16, 32, 64)
SHARE = 0.05  # of a run's time may go into trials of how to run it
WORTH = 60.0  # seconds: a run that is shorter is not tried
SLOW = 5e9  # operations a second of one CPU core at its worst, at thin widths: for that estimate alone
BETTER = 0.95  # of the best time so far: less of a gain is noise
COMPILING = 20.0  # seconds that compiling takes, before it was tried
MISSES = 2  # pack sizes in a row that gain nothing end the search along them


class Request(Record):
    """What is asked for one cell: a way for so many members, with some of it given."""

    cell: Cell
    task: tuple[int, int, int]
    members: int
    flops: float  # of training one member
    fixed: SteppingChoice
    place: Place

    @property
    def shape(self) -> Shape:
        return shape_of(self.cell, Task(*self.task), self.place, hardware(self.place.device))

    @property
    def longest(self) -> float:
        """Seconds that it may take, guessed from its operations alone."""
        return self.flops * self.members / (SLOW * self.place.workers * self.place.threads)

    @property
    def is_open(self) -> bool:
        """Whether anything may be varied."""
        values = [value for axis in axes(self.place.device, self.members) for value in axis]
        return any(not set(value) & set(self.fixed.fixed) for value in values)

    def seconds(self, timing: Timing) -> float:
        """What the cell takes by a way, infinite where that cannot be."""
        if timing.seconds is None:
            return float("inf")
        recipe = self.cell.recipe
        steps = recipe.epochs * -(-self.cell.train_size // recipe.batch_size)
        packs = -(-self.members // timing.stepping.pack)
        # Fewer packs than workers leave some idle.
        return timing.first + steps * timing.seconds * max(1.0, packs / self.place.workers)


class Chosen(NamedTuple):
    """A cell's way, with what it took when it was tried; None where nothing was."""

    stepping: Stepping
    timing: Timing | None


class Arrangement(NamedTuple):
    """How a run is spread over a machine, and every cell's way by its key."""

    place: Place
    chosen: Mapping[str, Chosen]


class Trials(Record):
    """What is known of a shape, and the seconds that were spent on finding it out."""

    shape: Shape
    timings: tuple[Timing, ...] = ()
    spent: float = 0.0


class UntriedError(Exception):
    """Something worth measuring was not measured yet."""


def axes(device: str, members: int) -> list[list[dict[str, Any]]]:
    """What may be varied, one choice at a time, in the order in which it is tried."""
    packs: list[dict[str, Any]] = [{"pack": pack} for pack in PACKS if pack <= members]
    layouts: list[dict[str, Any]] = [{"layout": layout} for layout in ("channels_last", "contiguous")]
    compiled: list[dict[str, Any]] = [{"compiled": False}, {"compiled": True}]
    if torch.device(device).type != "cuda":
        return [packs, layouts, compiled]
    captured: list[dict[str, Any]] = [{"captured": False}, {"captured": True}]
    ways: list[dict[str, Any]] = [{"way": way} for way in ("grouped", "separate", "vmap")]
    return [captured, packs, ways, packs, layouts, compiled]


def search(
    cost: Callable[[Stepping], float],
    fixed: Mapping[str, Any],
    choices: Iterable[Sequence[Mapping[str, Any]]],
) -> Stepping:
    """The cheapest way, one axis after another; what is fixed is not varied.

    Args:
        cost: What a way costs; infinite where it cannot be, or may not be tried any more.
        fixed: Fields of `Stepping` that are given.
        choices: Along each axis its values, the plainest first.

    Example:
        >>> cost = {1: 9.0, 2: 7.0, 4: 8.0, 8: 8.0}
        >>> search(lambda way: cost[way.pack], {}, [[{"pack": pack} for pack in cost]]).pack
        2
    """
    best = Stepping(**fixed)
    for values in choices:
        misses = 0
        for value in sorted(values, key=partial(_distance, best)):
            candidate = best.model_copy(update=dict(value))
            if set(value) & set(fixed) or candidate == best:
                continue
            if cost(candidate) < BETTER * cost(best):
                best, misses = candidate, 0
            else:
                misses += 1
            if misses == MISSES:
                break
    return best


def _distance(best: Stepping, value: Mapping[str, Any]) -> float:
    """Of a pack size from the best so far, in doublings; other values keep their order."""
    return abs(math.log2(value["pack"] / best.pack)) if "pack" in value else 0.0


def choose(request: Request, measure: Callable[[Stepping], Timing] | None = None) -> Chosen:
    """The cheapest way for one cell, from what is known and what is worth measuring.

    The plainest way is always timed; a share of what the cell would take by it may go into others, in
    all commands together, so that the same command again chooses the same.

    Args:
        request: What is asked.
        measure: Times a way; None where nothing may be measured.

    Raises:
        UntriedError: Something is worth measuring, and `measure` is None.
    """
    shape = request.shape
    before = known(shape)
    timings, spent = {timing.stepping: timing for timing in before.timings}, before.spent
    plainest = Stepping(**request.fixed.fixed)

    def cost(stepping: Stepping) -> float:
        nonlocal spent
        if stepping not in timings:
            if stepping != plainest:
                left = SHARE * request.seconds(timings[plainest]) - spent
                if left < (COMPILING if stepping.compiled else 0):
                    return float("inf")
            if measure is None:
                raise UntriedError
            began = time.monotonic()
            timings[stepping] = measure(stepping)
            spent += time.monotonic() - began
            keep(Trials(shape=shape, timings=tuple(timings.values()), spent=spent))
        return request.seconds(timings[stepping])

    cost(plainest)
    best = search(cost, request.fixed.fixed, axes(request.place.device, request.members))
    return Chosen(best, timings[best])


def choose_all(requests: Sequence[Request], *, worth: bool) -> list[Chosen]:
    """A way for each cell; what must be measured is, in as many processes as the run will have.

    So each is timed beside others, as it will be.

    Args:
        requests: One a cell, all of one place.
        worth: Whether the run is long enough to earn a trial back.
    """
    if not worth or not any(request.is_open for request in requests):
        return [_untried(request) for request in requests]
    # Cells that differ in what takes no time, as arms do, are tried once.
    different = {(request.shape.path, request.members): request for request in requests}
    try:
        found = {key: choose(request) for key, request in different.items()}
    except UntriedError:
        found = dict(zip(different, _mapped(_chosen, list(different.values()), _untried), strict=True))
    return [found[request.shape.path, request.members] for request in requests]


def is_worth(requests: Iterable[Request]) -> bool:
    """Whether a run of all these is long enough to earn a trial back, judged by its operations."""
    return sum(request.longest for request in requests) >= WORTH


def choose_place(request: Request, places: Sequence[Place], *, worth: bool) -> Place:
    """How processes and threads share the machine: the first of the places, or one that is faster.

    Args:
        request: For the costliest cell, which the run waits for.
        places: Several processes of one thread, say, and one process of several.
        worth: Whether the run is long enough to earn a trial back.
    """
    if not worth or len(places) == 1:
        return places[0]
    asked = [request.model_copy(update={"place": place}) for place in places]
    plainest = Stepping(**request.fixed.fixed)
    costs = []
    for one in asked:
        before = known(one.shape)
        timing = next((t for t in before.timings if t.stepping == plainest), None)
        if timing is None:  # in all processes at once, as they will be
            timing = _mapped(_timed, [one] * one.place.workers, _fault)[0]
            keep(before.model_copy(update={"timings": (*before.timings, timing)}))
        costs.append(one.seconds(timing))
    best = min(range(len(places)), key=costs.__getitem__)
    return places[best] if costs[best] < BETTER * costs[0] else places[0]


def _untried(request: Request) -> Chosen:
    return Chosen(Stepping(**request.fixed.fixed), None)


def _fault(request: Request) -> Timing:
    return Timing(stepping=Stepping(**request.fixed.fixed), fault="its process was killed")


def _processes(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, get_context("spawn"))


def _mapped(
    function: Callable[[Request], T], requests: Sequence[Request], otherwise: Callable[[Request], T]
) -> list[T]:
    """The function of each, in processes of the requests' place; otherwise where one is killed."""
    workers = requests[0].place.workers
    if workers == 1:
        return [function(request) for request in requests]
    try:
        with _processes(workers) as pool:
            return list(pool.map(function, requests))
    except BrokenProcessPool:  # killed for its memory, say: then nothing is known, and nothing stopped
        return [otherwise(request) for request in requests]


def _timer(request: Request) -> Callable[[Stepping], Timing]:
    keep_freed()
    return partial(time_steps, request.cell, Task(*request.task), device=request.place.device)


def _chosen(request: Request) -> Chosen:
    with torch_threads(request.place.threads):
        return choose(request, _timer(request))


def _timed(request: Request) -> Timing:
    with torch_threads(request.place.threads):
        return _timer(request)(Stepping(**request.fixed.fixed))


def known(shape: Shape) -> Trials:
    """What was measured before; a file that cannot be read, or is of another shape, is as none."""
    try:
        found = Trials.from_json(shape.path.read_bytes())
    except (OSError, ValueError):
        return Trials(shape=shape)
    return found if found.shape == shape else Trials(shape=shape)


def keep(trials: Trials) -> None:
    """Writes them whole or not at all; a folder that cannot be written costs only the next trial."""
    with contextlib.suppress(OSError):
        write_whole(trials.shape.path, trials.to_json())
