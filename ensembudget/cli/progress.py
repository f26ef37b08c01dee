"""Progress of a long command: a bar on a terminal, a line now and then elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from ..errors import visible
from ..verbs.progress import Progress
from . import voice
from .show import duration

EVERY = 10.0  # seconds between lines where there is no terminal


@contextlib.contextmanager
def shown(name: str, things: str = "members") -> Iterator[Callable[[Progress], None]]:
    """A function to call with every step of progress of some things; writes to standard error."""
    with _shown(name, since=-EVERY) as show:
        yield lambda p: show(p.share, _note(p, things))


@contextlib.contextmanager
def share_shown(name: str) -> Iterator[Callable[[float], None]]:
    """A function to call with the share that is done; without a terminal, short work prints nothing."""
    with _shown(name, since=time.monotonic()) as show:
        yield lambda share: show(share, f"{share:.0%}")


@contextlib.contextmanager
def _shown(name: str, since: float) -> Iterator[Callable[[float, str], None]]:
    console = Console(stderr=True)
    if voice.quiet:
        yield lambda share, note: None
    elif not console.is_terminal:
        yield _lines(name, since)
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"))
        with Bar(*columns, console=console) as bar:
            task = bar.add_task(name, total=1.0, note="starting")
            yield lambda share, note: bar.update(task, completed=share, note=note)


def _lines(name: str, since: float) -> Callable[[float, str], None]:
    last, told = since, since < 0

    def show(share: float, note: str) -> None:
        nonlocal last, told
        now = time.monotonic()
        if now - last >= EVERY or (share == 1 and told):
            last, told = now, True
            print(visible(f"{name}: {note}"), file=sys.stderr, flush=True)

    return show


def _note(progress: Progress, things: str) -> str:
    left = progress.seconds_left
    return (
        f"{progress.ended}/{progress.missing} {things}, {progress.share:.0%}"
        f"{'' if left is None else f', {duration(left)} left'}"
    )
