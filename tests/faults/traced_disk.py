# ruff: noqa: PTH100, PTH102, PTH104, PTH105, PTH106, PTH108
"""A disk that notes, refuses or ends what a store does: it stands in for `os` in `ensembudget.files`.

Only for a process of its own (`clean`): it imports no torch, so that it starts and forks quickly.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ensembudget import files

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Op(NamedTuple):
    """One system call.

    Attributes:
        call: Its name; `create` is an `open` that makes a file, and `open` one that does not.
        path: What it changes, below the sandbox.
        target: Of `rename` and `replace`, the new path.
        content: Of `write`.
        site: The line that asked for it.
    """

    call: str
    path: str
    target: str = ""
    content: bytes = b""
    site: str = ""


Act = Callable[..., Any]
Hook = Callable[[int, Op, Act], Any]  # (number of the call, the call, what makes it)


def act_on(number: int, op: Op, act: Act) -> Any:
    return act()


class Disk:
    """What `os` is, but each call goes through a hook and into a log.

    Attributes:
        top: The sandbox.
        log: The calls that were made, and ("told", slot, version) where something was reported as done.
        count: Calls that were asked for.
        seen: How many changes the interpreter itself told of, by its audit events.
        missed: Those of them that did not come through here.
    """

    def __init__(self, top: Path, hook: Hook = act_on, log: list[Any] | None = None) -> None:
        self.top, self.hook = top, hook
        self.log: list[Any] = [] if log is None else log
        self.count, self.seen, self.missed = 0, 0, list[str]()
        self._handles: dict[int, str] = {}
        self._within = False

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def tell(self, slot: str, version: int) -> None:
        self.log.append(("told", slot, version))

    # The calls.

    def open(self, path: Any, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_NONBLOCK:  # as `read_regular` opens: it changes nothing
            return os.open(path, flags, mode)
        call = "create" if flags & os.O_CREAT else "open"
        handle = self._through(Op(call, self._below(path)), lambda: os.open(path, flags, mode))
        self._handles[handle] = self._below(path)
        return handle

    def write(self, handle: int, content: Any) -> int:
        def act(share: float = 1.0) -> int:
            part = bytes(content)[: int(len(content) * share)]
            self.log[-1] = self.log[-1]._replace(content=part)
            return os.write(handle, part) if part else 0

        return self._through(Op("write", self._handles[handle]), act)

    def fsync(self, handle: int) -> None:
        # Only what the log says is asked of the model of a disk (crash_states.py): nothing need wait here.
        return self._through(Op("fsync", self._handles[handle]), lambda: None)

    def close(self, handle: int) -> None:
        path = self._handles.pop(handle)
        try:
            return self._through(Op("close", path), lambda: os.close(handle))
        except InterruptedError:
            os.close(handle)  # Linux closes it all the same
            raise

    def mkdir(self, path: Any, mode: int = 0o777) -> None:
        return self._through(Op("mkdir", self._below(path)), lambda: os.mkdir(path, mode))

    def rename(self, source: Any, target: Any) -> None:
        op = Op("rename", self._below(source), self._below(target))
        return self._through(op, lambda: os.rename(source, target))

    def replace(self, source: Any, target: Any) -> None:
        op = Op("replace", self._below(source), self._below(target))
        return self._through(op, lambda: os.replace(source, target))

    def unlink(self, path: Any) -> None:
        return self._through(Op("unlink", self._below(path)), lambda: os.unlink(path))

    def rmdir(self, path: Any) -> None:
        return self._through(Op("rmdir", self._below(path)), lambda: os.rmdir(path))

    # How they are made.

    def _through(self, op: Op, act: Act) -> Any:
        op = op._replace(site=_site(kind_of(op.target or op.path)))
        self.count += 1

        def logged(*given: float) -> Any:
            self.log.append(op)  # first: the state of the disk is that of the calls that began
            self._within = True
            try:
                return act(*given)
            except OSError:
                self.log.pop()
                raise
            finally:
                self._within = False

        return self.hook(self.count - 1, op, logged)

    def _below(self, path: Any) -> str:
        return os.path.relpath(os.path.abspath(path), self.top)

    def heard(self, event: str, given: tuple[Any, ...]) -> None:
        """An audit event: what changes a disk, whoever does it."""
        if event == "open":
            if not (isinstance(given[2], int) and given[2] & WRITES):
                return
        elif event not in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link"):
            return
        where = self._below(os.fsdecode(given[0])) if isinstance(given[0], str | bytes | os.PathLike) else ""
        if where.startswith("..") or "claims" in where:  # leases lie there, and nothing depends on them
            return
        self.seen += 1
        if not self._within:
            self.missed.append(f"{event} {where}")


def _site(kind: str) -> str:
    """The line that asked for a call: the function outside files.py, and the way through files.py to it."""
    frame, way = sys._getframe(2), list[str]()
    while frame.f_code.co_filename in (__file__, files.__file__, contextlib.__file__):
        if frame.f_code.co_filename == files.__file__ and not frame.f_code.co_name.startswith(("_", "<")):
            way.insert(0, frame.f_code.co_name)
        assert frame.f_back is not None
        frame = frame.f_back
    if "make_folder" in way:
        return "make_folder"
    if way[:1] == ["write_whole"]:
        return " > ".join(way)
    return f"{frame.f_code.co_name} > {way[0] if way else kind}" + f": {kind}" * (way == ["sync"])


def kind_of(path: str) -> str:
    if "/tmp/" in path:
        return "a staged folder"
    return "quarantine" if "/quarantine" in path else "where it is published"


@contextlib.contextmanager
def in_place(disk: Disk) -> Iterator[Disk]:
    """While within, the store's calls go to this disk."""
    if not _heard:
        sys.addaudithook(lambda event, given: _heard[-1] and _heard[-1].heard(event, given))
    before, files.os = files.os, disk  # type: ignore[attr-defined]
    _heard.append(disk)
    try:
        yield disk
    finally:
        files.os = before  # type: ignore[attr-defined]
        _heard.append(None)


_heard: list[Disk | None] = []


def clean(module: str, function: str, *before: str, **given: Any) -> Any:
    """What a function gives that is called in a Python of its own; given and gotten as JSON.

    Args:
        module: Beside this file.
        function: Of it.
        before: A command that starts Python, as `unshare -Urm`.
        given: Its arguments.
    """
    code = (
        f"import json, sys; from {module} import {function}; found = {function}(**json.loads(sys.argv[1]));"
        " assert 'torch' not in sys.modules; print(json.dumps(found))"
    )
    path = os.pathsep.join([str(HERE), str(ROOT)])
    done = subprocess.run(
        [*before, sys.executable, "-W", "error", "-c", code, json.dumps(given)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)
