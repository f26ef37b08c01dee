"""Which way to step is fastest for a cell on this machine: short trials, kept for the next run."""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError

from .executors._base import device_name
from .families._base import Task
from .records import Cell, Record, Stepping, SteppingChoice
from .training.memory import keep_freed
from .training.timing import Place, Shape, Timing, shape_of, time_steps

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
        return shape_of(self.cell, Task(*self.task), self.place, device_name(self.place.device))

    @property
    def longest(self) -> float:
        """Seconds that it may take, guessed from its operations alone."""
        return self.flops * self.members / (SLOW * self.place.workers * self.place.threads)

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
        for value in values:
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


def choose(request: Request, measure: Callable[[Stepping], Timing] | None = None) -> Chosen:
    """The cheapest way for one cell, from what is known and what is worth measuring.

    The plainest way is always timed; a share of what the cell would take by it may go into others.

    Args:
        request: What is asked.
        measure: Times a way; None where nothing may be measured.

    Raises:
        UntriedError: Something is worth measuring, and `measure` is None.
    """
    shape, timings, spent = request.shape, {}, 0.0
    timings = {timing.stepping: timing for timing in known(shape)}
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
            keep(shape, list(timings.values()))
        return request.seconds(timings[stepping])

    cost(plainest)
    best = search(cost, request.fixed.fixed, axes(request.place.device, request.members))
    return Chosen(best, timings[best])


def choose_all(requests: Sequence[Request]) -> list[Chosen]:
    """A way for each cell; what must be measured is, in as many processes as the run will have.

    So each is timed beside others, as it will be. A run too short to earn that back is not tried.
    """
    if not requests or sum(request.longest for request in requests) < WORTH:
        return [_untried(request) for request in requests]
    try:
        return [choose(request) for request in requests]
    except UntriedError:
        with _processes(requests[0].place.workers) as pool:
            return list(pool.map(_chosen, requests))


def choose_place(request: Request, places: Sequence[Place]) -> Place:
    """How processes and threads share the machine: the first of the places, or one that is faster.

    Args:
        request: For the costliest cell, which the run waits for.
        places: Several processes of one thread, say, and one process of several.
    """
    if request.longest < WORTH:
        return places[0]
    asked = [request.model_copy(update={"place": place}) for place in places]
    plainest = Stepping(**request.fixed.fixed)
    costs = []
    for one in asked:
        timings = [t for t in known(one.shape) if t.stepping == plainest]
        if not timings:
            with _processes(one.place.workers) as pool:  # all at once, as they will be
                timings = list(pool.map(_timed, [one] * one.place.workers))
            keep(one.shape, [*known(one.shape), timings[0]])
        costs.append(one.seconds(timings[0]))
    best = min(range(len(places)), key=costs.__getitem__)
    return places[best] if costs[best] < BETTER * costs[0] else places[0]


def _untried(request: Request) -> Chosen:
    return Chosen(Stepping(**request.fixed.fixed), None)


def _processes(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, get_context("spawn"))


def _prepared(request: Request) -> Callable[[Stepping], Timing]:
    torch.set_num_threads(request.place.threads)
    keep_freed()
    return partial(time_steps, request.cell, Task(*request.task), device=request.place.device)


def _chosen(request: Request) -> Chosen:
    return choose(request, _prepared(request))


def _timed(request: Request) -> Timing:
    return _prepared(request)(Stepping(**request.fixed.fixed))


def known(shape: Shape) -> list[Timing]:
    """What was measured before; a file that cannot be read is as none."""
    try:
        return [Timing.model_validate(one) for one in json.loads(shape.path.read_text())["timings"]]
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return []


def keep(shape: Shape, timings: Sequence[Timing]) -> None:
    """Writes them whole or not at all; a folder that cannot be written costs only the next trial."""
    text = {"shape": shape.model_dump(mode="json"), "timings": [t.model_dump(mode="json") for t in timings]}
    part = shape.path.with_suffix(f".{os.getpid()}")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(text, indent=1))
        part.replace(shape.path)
    except OSError:
        part.unlink(missing_ok=True)
