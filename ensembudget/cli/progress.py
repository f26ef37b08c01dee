"""How far a long command is: a bar on a terminal, a line now and then elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from ..verbs.progress import Progress
from .show import duration

EVERY = 10.0  # seconds between lines where there is no terminal


@contextlib.contextmanager
def shown(name: str) -> Iterator[Callable[[Progress], None]]:
    """A function to call with every step of progress; writes to standard error."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(name)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"))
    with Bar(*columns, console=console) as bar:
        task = bar.add_task(name, total=1.0, note="starting")
        yield lambda p: bar.update(task, completed=p.share, note=_note(p))


def _lines(name: str) -> Callable[[Progress], None]:
    last = -EVERY

    def show(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= EVERY or progress.share == 1:
            last = now
            print(f"{name}: {_note(progress)}", file=sys.stderr, flush=True)

    return show


def _note(progress: Progress) -> str:
    left = progress.seconds_left
    return (
        f"{progress.ended}/{progress.missing} members, {progress.share:.0%}"
        f"{'' if left is None else f', {duration(left)} left'}"
    )
