"""Spawned processes that are handed tasks one at a time, and replaced where they die; imports nothing heavy.

Not `concurrent.futures`: there one killed process breaks the pool, and all that wait in it are lost.
"""

import faulthandler
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, NamedTuple

CHARACTERS, WIDTH = 4000, 200  # of a log that are kept, and of one of its lines
SECONDS = 3.0  # that a process may take to end when it is told to


class Call(NamedTuple):
    """A call to a worker.

    Attributes:
        do: Called with this call and with a function that passes a report on; its answer is the task's.
            It is imported by the worker, so it stands at the top of a module.
        task: Whatever it needs, picklable.
        worker: Number of the worker, below the number of workers that there are at one time.
        tries: How often this task was begun before.
    """

    do: Callable[["Call", Callable[[Any], None]], Any]
    task: Any
    worker: int
    tries: int


class Lost(NamedTuple):
    """A task whose worker died at every try.

    Attributes:
        tries: How many.
        exitcode: The last worker's; a negative one is the number of the signal that killed it.
        log: The end of what it wrote to standard error during the task.
    """

    tries: int
    exitcode: int
    log: str


@dataclass
class _Worker:
    number: int
    process: SpawnProcess
    connection: Connection
    log: Path
    task: int | None = None
    logged: int = 0  # bytes of its log before this task


def pooled(
    do: Callable[[Call, Callable[[Any], None]], Any],
    tasks: Sequence[Any],
    workers: int,
    on_report: Callable[[int, Any], None],
    retries: int,
) -> Iterator[tuple[int, Any]]:
    """The answer to each task as it comes, or `Lost`.

    A worker that dies is replaced, and its task is begun again after all others that wait. However this
    ends, by an exception of the caller's too, its processes end with it.

    Args:
        do: As in `Call`.
        tasks: What is to be done.
        workers: How many processes at one time, at most.
        on_report: Called with the number of a task and what its worker reports.
        retries: How often a task is begun again whose worker died.
    """
    waiting, tries = deque(range(len(tasks))), [0] * len(tasks)
    crew: list[_Worker] = []
    with tempfile.TemporaryDirectory(prefix="ensembudget-") as logs:
        try:
            while waiting or any(worker.task is not None for worker in crew):
                while waiting and (free := _free(crew, workers, Path(logs))):
                    free.task = waiting.popleft()
                    _ask(free, Call(do, tasks[free.task], free.number, tries[free.task]))
                    tries[free.task] += 1
                for worker, answer in _heard(crew, on_report):
                    task, worker.task = worker.task, None
                    if isinstance(answer, Lost):
                        crew.remove(worker)
                        if task is None:  # it died idle
                            continue
                        if tries[task] <= retries:
                            waiting.append(task)
                            continue
                        answer = answer._replace(tries=tries[task])
                    assert task is not None
                    yield task, answer
        finally:
            _end([worker.process for worker in crew])


def _free(crew: list[_Worker], workers: int, logs: Path) -> _Worker | None:
    """An idle worker; a new one is started if there is room."""
    for worker in crew:
        if worker.task is None:
            return worker
    if len(crew) >= workers:
        return None
    number = min(set(range(workers)) - {worker.number for worker in crew})
    # Spawned, not forked: torch's thread pools do not survive a fork.
    context = multiprocessing.get_context("spawn")
    ours, its = context.Pipe()
    log = logs / f"{number}.{time.monotonic_ns()}"
    process = context.Process(target=_serve, args=(its, str(log)))
    with _uninterrupted():
        process.start()
        crew.append(_Worker(number, process, ours, log))
    its.close()
    return crew[-1]


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Delays Ctrl-C. A process started here never receives it: its parent ends it, without a traceback."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ask(worker: _Worker, call: Call) -> None:
    worker.logged = worker.log.stat().st_size if worker.log.exists() else 0
    with suppress(OSError):  # it is dead, which is heard next
        worker.connection.send(call)


def _heard(crew: list[_Worker], on_report: Callable[[int, Any], None]) -> Iterator[tuple[_Worker, Any]]:
    """The answers that have arrived, and the workers that died; waits at most a second."""
    ready = set(wait([worker.connection for worker in crew], timeout=1.0))
    for worker in list(crew):
        # One that is dead may have left its end of the connection to a process of its own.
        if worker.connection not in ready and worker.process.is_alive():
            continue
        try:
            if worker.connection not in ready and not worker.connection.poll():
                raise EOFError
            is_answer, said = worker.connection.recv()
        except (EOFError, OSError):
            yield worker, _lost(worker)
            continue
        if is_answer:
            yield worker, said
        elif worker.task is not None:
            on_report(worker.task, said)


def _lost(worker: _Worker) -> Lost:
    _end([worker.process], patience=SECONDS)
    with suppress(OSError):
        raw = worker.log.read_bytes()[worker.logged :]
        return Lost(0, worker.process.exitcode or 0, tail(raw.decode(errors="replace")))
    return Lost(0, worker.process.exitcode or 0, "")


def tail(text: str) -> str:
    r"""The end of a log, without what a terminal would obey and without lines that say nothing.

    >>> tail("\x1b[31mkilled\x1b[0m\n\nExtension modules: numpy, torch (total: 2)\n")
    '[31mkilled[0m'
    """
    lines = ["".join(c for c in line if c.isprintable())[:WIDTH].rstrip() for line in text.splitlines()]
    told = [line for line in lines if line and not line.startswith("Extension modules: ")]
    return "\n".join(told)[-CHARACTERS:]


def _end(processes: Sequence[SpawnProcess], patience: float = 0.0) -> None:
    """Ends processes: first by request, then by force."""
    for name in ("join", "terminate", "kill"):
        until = time.monotonic() + (patience if name == "join" else SECONDS)
        alive = [process for process in processes if process.is_alive()]
        if name != "join":
            for process in alive:
                getattr(process, name)()
        for process in alive:
            process.join(max(0.0, until - time.monotonic()))


# In the worker.


def _serve(connection: Connection, log: str) -> None:
    """Answers calls until the parent is gone."""
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
    faulthandler.enable()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            call = connection.recv()
        except (EOFError, OSError):
            return
        answer = call.do(call, lambda report: connection.send((False, report)))
        connection.send((True, answer))


def _end_with_parent() -> None:
    """Ends a worker whose parent was killed: nobody else would stop it, and it holds claims."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
