"""Removes what killed runs left behind, safely beside runs that go on."""

import contextlib
import hashlib
import os
import socket
import time
import uuid
from pathlib import Path

from ..files import remove_tree
from .paths import DOCUMENTS, Paths

HOUR = 3600.0
WEEK = 7 * 24 * HOUR


def staging_name() -> str:
    """A name that says which process of which machine stages here."""
    return f"{machine()}.{os.getpid()}.{uuid.uuid4().hex}"


def machine() -> str:
    """What process numbers are counted by: a machine since it started, and a container of it."""
    told = [socket.gethostname()]
    with contextlib.suppress(OSError):
        told.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        told.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    return hashlib.sha256(" ".join(told).encode()).hexdigest()[:12]


def sweep(paths: Paths) -> None:
    """Removes what is abandoned; what cannot be removed is left for the next time."""
    for path in abandoned(paths):
        remove_tree(path)


def abandoned(paths: Paths) -> list[Path]:
    """Staging whose process has ended, and claims and half-written files that nobody renews.

    Staging of another machine, whose processes cannot be asked, counts when nothing in it has changed
    for a week. A claim is renewed every second; one that was not for an hour may be overtaken anyway.
    """
    folders = [folder for folder in _entries(paths.tmp) if _is_abandoned(folder)]
    files = _entries(paths.claims)
    for place in (paths.root, *(paths.root / name for name in DOCUMENTS)):
        files += [path for path in _entries(place) if path.name.startswith(".")]  # being written
    return [*folders, *(path for path in files if path.is_file() and _age(path) > HOUR)]


def _is_abandoned(folder: Path) -> bool:
    where, _, rest = folder.name.partition(".")
    process = rest.partition(".")[0]
    if where == machine() and process.isdecimal() and os.name == "posix":
        return not _is_running(int(process))
    return min(map(_age, [folder, *folder.rglob("*")])) > WEEK


def _is_running(process: int) -> bool:
    with contextlib.suppress(OSError):
        if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X"):
            return False  # it has ended, and its parent has not asked
    try:
        os.kill(process, 0)  # asks, and does nothing
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it is there, and another user's
    return True


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder; nothing where it is a link, for what it leads to is not the store's."""
    try:
        return [] if folder.is_symlink() else list(folder.iterdir())
    except OSError:
        return []


def _age(path: Path) -> float:
    """Seconds since it changed; 0 where it is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
