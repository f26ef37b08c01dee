"""Processes that publish the same members at once, and one that kills and stops some of them. No torch.

python races.py STORE FIRST ROUNDS SEED [replacing] prints a line of JSON a round: how often each member was
won by a racer that lived to say so, how many publications were tried, and how many racers got which signal.
"""

import json
import os
import random
import select
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from small_members import HERE, labels, made

from ensembudget.store import Store

RACERS, MEMBERS = 8, 50
PAUSE = 40  # publications of others while a process is stopped
QUIET = 0.2  # seconds in which nobody publishes: all others have ended


class Order(NamedTuple):
    """A signal for a process, after so many publications of all."""

    after: int
    signal: signal.Signals
    pid: int


def racer(root: str, number: int, seed: int, said: int) -> None:
    """Publishes all members of a round, in an order of its own; says after each whether it won.

    Every other racer trains elsewhere, and has logits of its own.
    """
    variant = seed % 2
    store, environment = Store(root), HERE.model_copy(update={"threads": variant + 1})
    some = [made(number * MEMBERS + i, variant=variant) for i in range(MEMBERS)]
    random.Random(seed).shuffle(some)
    if seed % 4 < 2:  # half of them in one order, so that they meet at every member
        some.sort(key=lambda one: one.run.seed)
    for one in some:
        won = store.publish(one, labels(), environment)
        os.write(said, f"{one.run.key} {int(won)}\n".encode())


def race(root: str, number: int, seed: int) -> dict[str, object]:
    pids, (heard, said) = list[int](), os.pipe()
    for i in range(RACERS):
        pid = os.fork()
        if not pid:
            code = 1
            try:
                racer(root, number, seed * RACERS + i, said)
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    os.close(said)
    done: Counter[str] = Counter()
    lines = disturbed(heard, orders(random.Random(seed), pids), done)
    won = Counter(key for key, first in map(str.split, lines) if first == "1")
    codes = [os.waitpid(pid, 0)[1] for pid in pids]
    return {
        **done,
        "tried": len(lines),
        "won": won,
        "raised": sum(os.WIFEXITED(code) and bool(code) for code in codes),
    }


def orders(rng: random.Random, pids: list[int]) -> list[Order]:
    """A quarter of the processes is killed, or stopped for a while."""
    found = []
    for pid in rng.sample(pids, RACERS // 4):
        after = rng.randrange(RACERS * MEMBERS // 2)
        if rng.random() < 0.5:
            found.append(Order(after, signal.SIGKILL, pid))
        else:
            found += [Order(after, signal.SIGSTOP, pid), Order(after + PAUSE, signal.SIGCONT, pid)]
    return sorted(found)


def disturbed(heard: int, orders: list[Order], done: Counter[str]) -> list[str]:
    """What racers say until all have ended, while signals are sent as it comes in."""
    text = b""
    while True:
        quiet = not select.select([heard], [], [], QUIET)[0]
        if not quiet:
            if not (more := os.read(heard, 80)):  # about one line, so that signals come in between
                break
            text += more
        while orders and (quiet or orders[0].after <= text.count(b"\n")):
            os.kill(orders[0].pid, orders[0].signal)  # not waited for yet, so its number is still its own
            done[orders.pop(0).signal.name] += 1
    return text.decode().splitlines()


def replace(source: str, target: str, rename: Callable[[str, str], None] = os.rename) -> None:
    """A renaming that does what the store relies on renaming not to do."""
    shutil.rmtree(target, ignore_errors=True)
    rename(source, target)


if __name__ == "__main__":
    place, first, rounds, number = sys.argv[1], *map(int, sys.argv[2:5])
    if "replacing" in sys.argv:
        os.rename = replace
    for one in range(first, first + rounds):
        print(json.dumps(race(place, one, number + one)), flush=True)
