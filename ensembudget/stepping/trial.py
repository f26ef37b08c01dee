"""How long a step of every width takes, told within seconds: from earlier timings, or from a few steps."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from .autotune import BENCH, Bench, Request, tried
from .measured import Timing, known

ENOUGH = 12.0  # seconds: no further width is tried then
LEAST_STEPS = 3  # of a trial

Report = Callable[[int, int, Request], None]  # (which trial, of how many at most, what is tried)


class Pace(NamedTuple):
    """How long a step of one cell takes.

    Attributes:
        timing: Of a pack's step; without seconds where nothing is known.
        is_measured: Whether it was timed, and is not inferred from the operations of another width.
    """

    timing: Timing
    is_measured: bool


def paces(
    requests: Sequence[Request], bench: Bench = BENCH, on_trial: Report = lambda *how: None
) -> list[Pace]:
    """The pace of each request at its plainest stepping.

    Networks are tried from the smallest on. Once `ENOUGH` seconds are spent, or would be by the next, the
    others are taken to make as many operations a second as the largest that was tried.

    Args:
        requests: One a cell, all of one place.
        bench: How steps are timed.
        on_trial: Called before a width is tried.
    """
    # Cells that differ only in what takes no time, as arms do, are tried once.
    shapes = [request.shape.path for request in requests]
    distinct = sorted(dict(zip(shapes, requests, strict=True)).items(), key=lambda item: operations(item[1]))
    known_before = {path: _earlier(request) for path, request in distinct}
    count = sum(timing is None for timing in known_before.values())
    found: dict[Path, Pace] = {}
    spent, number, rate = 0.0, 0, 0.0
    for path, request in distinct:
        timing, amount = known_before[path], operations(request)
        if timing is None and (not rate or spent + LEAST_STEPS * amount / rate <= ENOUGH):
            number += 1
            on_trial(number, count, request)
            began = bench.clock()
            timing = tried(request, bench)
            spent += bench.clock() - began
        if timing and timing.seconds:
            rate = amount / timing.seconds
            found[path] = Pace(timing, is_measured=True)
        else:
            inferred = Timing(stepping=request.plainest, seconds=amount / rate if rate else None)
            found[path] = Pace(inferred, is_measured=False)
    return [found[path] for path in shapes]


def operations(request: Request) -> float:
    """Floating-point operations of one step of a pack."""
    return request.flops / request.cell.steps * request.plainest.pack


def _earlier(request: Request) -> Timing | None:
    """What an earlier run or trial timed of the plainest stepping."""
    before = known(request.shape)
    return next((one for one in (*before.timings, *before.trials) if one.stepping == request.plainest), None)
