"""The attacks on the store's disk: they run in a process of their own and answer in JSON."""

import contextlib
import errno
import functools
import os
import random
import re
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crash_states import History, signature, states, tree_of, write_tree
from store_scenarios import SCENARIOS, Scenario, faults_of, told_in
from traced_disk import Disk, Hook, Op, act_on, in_place

from ensembudget.errors import StoreError
from ensembudget.store import Store

MEMORY = Path("/dev/shm")  # a disk that costs no time, where there is one


class Stopped(BaseException):
    """Nothing catches it, as nothing catches a kill."""


@functools.cache
def begun(name: str) -> dict[str, Any]:
    """What a scenario begins with."""
    with tempfile.TemporaryDirectory() as top:
        if before := SCENARIOS[name].before:
            before(Path(top) / "deep" / "store")
        return tree_of(Path(top))


@contextlib.contextmanager
def sandbox(name: str) -> Iterator[tuple[Path, Path]]:
    """A folder, and the store in it with which a scenario begins."""
    top = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    write_tree(begun(name), top)
    for path in top.glob("deep/store/*/.*"):
        os.utime(path, (0, 0))  # left behind long ago
    try:
        yield top, top / "deep" / "store"
    finally:
        shutil.rmtree(top)


def act(scenario: Scenario, root: Path, disk: Disk) -> None:
    with in_place(disk):
        scenario.act(Store(root), disk.tell)


def stopping(at: int) -> Hook:
    """Ends a process before a call, without ending it: no later call does anything."""

    def hook(number: int, op: Op, act: Any) -> Any:
        if number >= at:
            raise Stopped
        return act()

    return hook


# C: power is cut.


def logged(name: str, hook: Hook = act_on, stop: int | None = None) -> list[Any]:
    """What a scenario does to a disk: whole, or stopped before a call and then done again."""
    scenario = SCENARIOS[name]
    with sandbox(name) as (top, root):
        log: list[Any] = [("told", slot, 1) for slot in scenario.has]
        if stop is not None:
            with contextlib.suppress(Stopped):
                act(scenario, root, Disk(top, stopping(stop), log))
        act(scenario, root, Disk(top, hook, log))
    return log


def power_cuts(
    name: str, hook: Hook, rng: random.Random, drawn: int, seen: set[Any], stop: int | None = None
) -> Iterator[list[str]]:
    """What is wrong in each of the states in which a power cut may leave a store, those `seen` left out."""
    history = History(begun(name), logged(name, hook, stop))
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as place:
        for end, tree in states(history, rng, drawn):
            told = told_in(history.log[:end])
            mark = (name, signature(tree), tuple(sorted(told.items())))
            if mark in seen:
                continue
            seen.add(mark)
            top = Path(place) / "top"
            write_tree(tree, top)
            said = faults_of(top / "deep" / "store", told, SCENARIOS[name].damaged)
            yield [f"{name}, stopped {stop}, cut before {end}: {one}" for one in said]
            shutil.rmtree(top)


def power_loss(seed: int, drawn: int, stops: int) -> dict[str, Any]:
    """All scenarios: states tried, and what was wrong in them."""
    rng, found, seen = random.Random(seed), [], set[Any]()
    for name in SCENARIOS:
        found += list(power_cuts(name, act_on, rng, drawn, seen))
    for name in SCENARIOS:
        length = len(calls(name))
        for stop in sorted(rng.sample(range(length), min(stops, length))):
            found += list(power_cuts(name, act_on, rng, 1, seen, stop))
    return {"cases": len(found), "wrong": [one for said in found for one in said]}


# A: the process is killed.


def killed(scenario: Scenario, root: Path, top: Path, at: int, share: float | None) -> dict[str, int]:
    """Kills a process of its own at a call: before it (None), after it, or after a share of what it writes.

    Returns:
        What it had reported as done.
    """
    reader, writer = os.pipe()

    def hook(number: int, op: Op, act: Any) -> Any:
        if number == at:
            if share is not None:
                act(*([share] if op.call == "write" else []))
            os._exit(9)
        return act()

    class Telling(Disk):
        def tell(self, slot: str, version: int) -> None:
            os.write(writer, f"{slot}={version}\n".encode())

    process = os.fork()
    if not process:
        with contextlib.suppress(BaseException):
            act(scenario, root, Telling(top, hook))
        os._exit(0)
    os.close(writer)
    os.waitpid(process, 0)
    with open(reader) as said:  # noqa: PTH123
        return {slot: int(version) for slot, _, version in (line.partition("=") for line in said)}


@functools.cache
def calls(name: str) -> list[Op]:
    return [entry for entry in logged(name) if isinstance(entry, Op)]


def points(name: str) -> list[tuple[int, float | None]]:
    """Where a process that does a scenario can be killed: before a call, within a write, after the last."""
    ops = calls(name)
    shares = [(number, share) for number, op in enumerate(ops) for share in (None, 0.0, 0.5, 0.9)]
    return [one for one in shares if one[1] is None or ops[one[0]].call == "write"] + [(len(ops) - 1, 1.0)]


def recover(scenario: Scenario, root: Path, top: Path, told: dict[str, int]) -> list[str]:
    """What is wrong after the same was done again, by a process that is left alone."""
    disk = Disk(top)
    try:
        with in_place(disk):
            Store(root).sweep()
            scenario.act(Store(root), disk.tell)
    except StoreError as error:
        return [f"it cannot be done again: {error}"]
    return faults_of(root, told | told_in(disk.log))


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def kills() -> dict[str, Any]:
    """Kills each scenario everywhere."""
    cases = [(name, [point]) for name in SCENARIOS for point in points(name)]
    return {"cases": len(cases), "wrong": [one for case in cases for one in kill(*case)]}


def kills_again(seed: int, cases: int) -> dict[str, Any]:
    """Kills a scenario somewhere, and then again while it is done anew."""
    rng, wrong = random.Random(seed), list[str]()
    for _ in range(cases):
        name = rng.choice(list(SCENARIOS))
        wrong += kill(name, rng.choices(points(name), k=2))
    return {"cases": cases, "wrong": wrong}


def kill(name: str, points: list[tuple[int, float | None]]) -> list[str]:
    """What is wrong after a scenario was killed at these points, one after another."""
    scenario = SCENARIOS[name]
    with sandbox(name) as (top, root):
        told, wrong = dict.fromkeys(scenario.has, 1), list[str]()
        for at, share in points:
            told |= killed(scenario, root, top, at, share)
            wrong += faults_of(root, told, scenario.damaged)
        wrong += recover(scenario, root, top, told)
        wrong += [f"staging {one} is left" for one in left_in(root / "tmp")]
    return [f"{name}, killed at {points}: {one}" for one in wrong]


# D: the disk refuses.

REFUSALS = ("ENOSPC", "EIO", "EDQUOT", "EINTR", "short")
GROWS = ("create", "write", "mkdir", "rename", "replace", "fsync")
LIMITED = ("the first publish", "weights published later", "two rounds of a search")


def refusing(at: int, how: str, damaged: list[str]) -> Hook:
    """Refuses a call: a full disk every later one that needs room, too; others this one only.

    A refused `fsync` has lost what was written, and says so once: the next one would succeed.
    """

    def hook(number: int, op: Op, act: Any) -> Any:
        if how == "short":
            return act(0.5) if number == at and op.call == "write" else act()
        full = how == "ENOSPC" and number > at and op.call in GROWS
        if number != at and not full:
            return act()
        if op.call == "fsync" and how != "EINTR" and _is_content(op):
            damaged.append(op.path)
        if op.call == "write" and how != "EINTR":
            act(0.5)
        code = getattr(errno, how)
        raise OSError(code, os.strerror(code))

    return hook


def refused(name: str, at: int, how: str) -> list[str]:
    """What is wrong after a call was refused, and after the same was done again."""
    scenario, lost, said = SCENARIOS[name], list[str](), ""
    with sandbox(name) as (top, root):
        disk = Disk(top, refusing(at, how, lost))
        try:
            act(scenario, root, disk)
        except StoreError as error:
            said = str(error)
        except Exception as error:
            return [f"{name}, {how} at {at}: {error!r}"]
        told = dict.fromkeys(scenario.has, 1) | told_in(disk.log)
        wrong = faults_of(root, told, scenario.damaged)
        if how in ("EINTR", "short") and said:
            wrong.append(f"not survived: {said}")
        if said and not (str(root) in said and re.search("--store|rerun", said, re.IGNORECASE)):
            wrong.append(f"the message says too little: {said}")
        moved = [e.path for e in disk.log if isinstance(e, Op) and e.call in ("rename", "replace")]
        wrong += [f"{one} was published after its sync failed" for one in lost if _is_below(one, moved)]
        wrong += recover(scenario, root, top, told)
    return [f"{name}, {how} at {at}: {one}" for one in wrong]


def _is_content(op: Op) -> bool:
    return "/tmp/" in op.path or "/." in op.path


def _is_below(path: str, folders: list[str]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in folders)


def refusals(seed: int, most: int) -> dict[str, Any]:
    """So many of all ways of refusing at each call of each scenario, drawn."""
    rng = random.Random(seed)
    every = [
        (name, number, how)
        for name in SCENARIOS
        for number, op in enumerate(calls(name))
        for how in REFUSALS
        if how != "short" or op.call == "write"
    ]
    chosen = rng.sample(every, min(most, len(every)))
    return {"cases": len(chosen), "wrong": [one for case in chosen for one in refused(*case)]}


# D: the disk is really full.


def limited(name: str, root: Path, top: Path) -> list[str]:
    """What is wrong after a scenario was done by a process that the machine gives too little room."""
    scenario, told = SCENARIOS[name], dict.fromkeys(SCENARIOS[name].has, 1)
    disk, said = Disk(top), ""
    try:
        act(scenario, root, disk)
    except StoreError as error:
        said = str(error)
    except Exception as error:
        return [f"{error!r}"]
    wrong = faults_of(root, told | told_in(disk.log), scenario.damaged)
    if said and not (str(root) in said and "--store" in said):
        wrong.append(f"the message says too little: {said}")
    return wrong


def file_limits(sizes: list[int]) -> dict[str, Any]:
    """No file may be longer than this: what is longer is written in part, and then refused."""
    wrong = list[str]()
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    for name in LIMITED:
        for size in sizes:
            with sandbox(name) as (top, root):
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, unlimited[1]))
                try:
                    said = limited(name, root, top)
                finally:
                    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
                said += recover(SCENARIOS[name], root, top, dict.fromkeys(SCENARIOS[name].has, 1))
                wrong += [f"{name}, files up to {size} bytes: {one}" for one in said]
    return {"cases": len(LIMITED) * len(sizes), "wrong": wrong}


def small_disks(pages: list[int]) -> dict[str, Any]:
    """The disk has room for so many pages more: for a user namespace of its own, which may mount one."""
    wrong = list[str]()
    for name in LIMITED:
        for count in pages:
            with tempfile.TemporaryDirectory() as place:
                top = Path(place)
                mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", place)
                write_tree(begun(name), top)
                used = os.statvfs(place).f_blocks - os.statvfs(place).f_bfree
                mount("-o", f"remount,size={(used + count) * os.sysconf('SC_PAGESIZE')}", place)
                said = limited(name, top / "deep" / "store", top)
                mount("-o", "remount,size=1m", place)
                has = dict.fromkeys(SCENARIOS[name].has, 1)
                said += recover(SCENARIOS[name], top / "deep" / "store", top, has)
                subprocess.run(["umount", place], check=True)
                wrong += [f"{name}, {count} pages free: {one}" for one in said]
    return {"cases": len(LIMITED) * len(pages), "wrong": wrong}


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def unseen() -> dict[str, Any]:
    """How many changes the interpreter told of, and those that did not come through a `Disk`."""
    seen, missed = 0, list[str]()
    for name, scenario in SCENARIOS.items():
        with sandbox(name) as (top, root):
            disk = Disk(top)
            act(scenario, root, disk)
            seen, missed = seen + disk.seen, missed + disk.missed
    return {"seen": seen, "missed": missed}
