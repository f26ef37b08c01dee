"""What the attacks find when a defence of the store is removed: run in a process of its own."""

import contextlib
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from store_attacks import calls, kill, points, power_cuts, refused
from store_scenarios import SCENARIOS
from traced_disk import Act, Hook, Op

from ensembudget import files
from ensembudget.store import publishing, store


def without(site: str) -> Hook:
    """Each `fsync` that is asked for there does nothing."""

    def hook(number: int, op: Op, act: Act) -> Any:
        return None if op.call == "fsync" and op.site == site else act()

    return hook


def sites() -> list[str]:
    """Every place in which the store waits for the disk."""
    found = {op.site for name in SCENARIOS for op in calls(name) if op.call == "fsync"}
    return sorted(found)


def unsynced() -> dict[str, str]:
    """By each place in which the store waits, the first thing that a power cut breaks when it does not."""
    return {site: next(_broken_without(site), "") for site in sites()}


def _broken_without(site: str) -> Iterator[str]:
    """Power cuts of whole scenarios, then of those that one began that was killed before it waited."""
    rng, seen = random.Random(0), set[Any]()
    names = sorted(
        SCENARIOS, key=lambda name: (site not in {op.site for op in calls(name)}, len(calls(name)))
    )
    for name in names:
        for said in power_cuts(name, without(site), rng, 0, seen):
            yield from said
    for name in names:
        for number, op in enumerate(calls(name)):
            if op.call in ("rename", "replace", "mkdir"):
                for said in power_cuts(name, without(site), rng, 0, seen, number + 1):
                    yield from said


# Other defences: what takes their place.


def rename_replacing(source: Path, folder: Path) -> bool:
    """What is there already goes."""
    shutil.rmtree(folder, ignore_errors=True)
    files.os.rename(source, folder)
    return True


def publish_in_place(paths: Any, folder: Path, content: Any) -> bool:
    """Files go straight to where they are seen."""
    folder.mkdir(parents=True)
    for name, one in content.items():
        files.write_new(folder / name, one.read_bytes() if isinstance(one, Path) else one, durable=True)
    return True


def write_in_place(path: Path, content: str | bytes, *, durable: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    files.write_new(path, content, durable=durable)


def write_once(handle: int, content: bytes) -> None:
    files.os.write(handle, content)


def call_once(call: Callable[..., Any], *given: Any) -> Any:
    return call(*given)


def call_until_it_succeeds(call: Callable[..., Any], *given: Any) -> Any:
    """As if a failed fsync could be mended by another."""
    try:
        return call(*given)
    except OSError:
        if getattr(call, "__name__", "") == "fsync":
            return call(*given)
        raise


DEFENCES: dict[str, tuple[Any, str, Any, str, str]] = {
    "no-replace rename": (publishing, "move_new", rename_replacing, "a publish that loses", "kills"),
    "staged folders": (publishing, "publish_folder", publish_in_place, "a second publish", "kills"),
    "staged documents": (files, "write_whole", write_in_place, "two rounds of a search", "kills"),
    "sweeping": (store, "sweep", lambda paths: None, "a second publish", "kills"),
    "short writes carried on": (files, "_write", write_once, "a second publish", "short"),
    "calls made again": (files, "_again", call_once, "a second publish", "EINTR"),
    "no fsync tried twice": (files, "_again", call_until_it_succeeds, "a second publish", "EIO"),
}


def removed() -> dict[str, str]:
    """By each defence, the first thing that an attack breaks without it."""
    return {defence: next(_broken(*how), "") for defence, how in DEFENCES.items()}


def _broken(module: Any, name: str, instead: Any, scenario: str, attack: str) -> Iterator[str]:
    before = list(calls(scenario))
    from ensembudget.store import kept

    with contextlib.ExitStack() as stack:
        for place in {module, kept} if name == "write_whole" else {module}:
            stack.enter_context(patch.object(place, name, instead))
        if attack == "kills":
            calls.cache_clear()
            for point in points(scenario):
                yield from kill(scenario, [point])
        else:
            for number in range(len(before)):
                yield from refused(scenario, number, attack)
    calls.cache_clear()
