"""What workers of tests do: they import nothing heavy, and die as they are told."""

import ctypes
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ensembudget.executors._pool import Call


def answer(call: Call, report: Callable[[Any], None]) -> Any:
    """Twice the task, after a report of it."""
    report(call.task)
    return 2 * call.task


def who(call: Call, report: Callable[[Any], None]) -> tuple[int, int]:
    time.sleep(0.2)
    return call.worker, os.getpid()


def die(call: Call, report: Callable[[Any], None]) -> str:
    """Dies in the way that the task says, at so many of its first tries: `("segfault", 1)`."""
    how, times = call.task
    if call.tries < times:
        os.write(2, f"try {call.tries}: about to {how}\n".encode())
        if how == "segfault":
            ctypes.string_at(0)
        elif how == "exit":
            sys.exit(3)
        elif how == "raise":
            raise ZeroDivisionError("nothing to divide")
        else:
            os.kill(os.getpid(), getattr(signal, how))
            time.sleep(60)
    return f"survived {how}"


def hold(call: Call, report: Callable[[Any], None]) -> None:
    """Says who it is, and works for ever."""
    report(os.getpid())
    time.sleep(600)


def write(call: Call, report: Callable[[Any], None]) -> int:
    """Publishes a folder by renaming, as a store does, and dies at any moment of that while the dice say so.

    A try that begins leaves a file, and so does one that publishes.
    """
    root, number, seed, deaths = call.task
    dice = random.Random(f"{seed} {number} {call.tries}")
    target = Path(root) / "published" / str(number)
    moments = (0, 3, 4) if target.exists() else range(5)
    dies = dice.choice(moments) if call.tries < deaths else None
    _note(root, f"begun-{number}-{call.tries}")

    def moment(now: int) -> None:
        if dies == now:
            os.kill(os.getpid(), signal.SIGKILL)

    moment(0)
    if not target.exists():
        staged = Path(root) / f"staged-{number}-{call.tries}"
        staged.mkdir()
        moment(1)
        (staged / "value").write_text(str(number * number))
        moment(2)
        staged.rename(target)
        _note(root, f"made-{number}-{call.tries}")
    moment(3)
    report(1)
    moment(4)
    return int((target / "value").read_text())


def _note(root: str, name: str) -> None:
    (Path(root) / name).touch()
