"""What is read is changed at random, and read in a child process that can take little memory and time."""

import contextlib
import json
import mmap
import os
import random
import re
import resource
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from ensembudget.errors import EnsembudgetError

ROOM = 2**30  # bytes that a child may take beyond what it has when it begins
SECONDS = 5.0  # of processor time that one case may take
NUMBERS = (
    *b"-1 0 1e308 1e999 -0.0 NaN Infinity 9223372036854775808 18446744073709551616 4294967296 10000000000"
    b" 0.1 true null [] {}".split(),
    *(b"9" * 400, b"9" * 5000, b'"1"'),
)
TOKENS = (
    *b"\xff\xfe \xed\xa0\x80 \\ud800 \\u0000 \xe2\x80\xae \" ' [ ] { } , : = ../../x".split(),
    *(b"", b"\x00", b"\x1b[2J", b"\n", b"\r", b"[" * 3000, b'{"a":' * 3000, b"," * 20000, b"a" * 20000),
)


class Target(NamedTuple):
    """What is attacked.

    Attributes:
        name: It has in messages, and in the seed.
        cases: How many inputs are tried.
        seeds: Inputs as they should be.
        read: Reads one; returns, or raises one of `refusals`.
        refusals: What a reader may raise.
        warm: Whether a seed is read before the child begins: libraries reserve memory at their first use.
        finish: Makes a changed input whole again, as whoever can change it can: with a digest that fits, say.
    """

    name: str
    cases: int
    seeds: tuple[bytes, ...]
    read: Callable[[bytes], object]
    refusals: tuple[type[BaseException], ...]
    finish: Callable[[bytes], bytes] = bytes
    warm: bool = True


def changed(draws: random.Random, seeds: tuple[bytes, ...]) -> bytes:
    """A seed with one to three changes."""
    raw = draws.choice(seeds)
    for _ in range(draws.choice((1, 1, 1, 2, 3))):
        raw = draws.choice(CHANGES)(draws, raw, seeds)
    return raw


def _flipped(draws: random.Random, raw: bytes, seeds: tuple[bytes, ...]) -> bytes:
    if not raw:
        return raw
    at = draws.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ (1 << draws.randrange(8))]) + raw[at + 1 :]


def _cut(draws: random.Random, raw: bytes, seeds: tuple[bytes, ...]) -> bytes:
    first, last = sorted(draws.randrange(len(raw) + 1) for _ in range(2))
    return draws.choice((raw[:first], raw[:first] + raw[last:], raw[first:last]))


def _repeated(draws: random.Random, raw: bytes, seeds: tuple[bytes, ...]) -> bytes:
    first, last = sorted(draws.randrange(len(raw) + 1) for _ in range(2))
    return raw[:first] + raw[first:last] * draws.choice((2, 3, 20)) + raw[last:]


def _spliced(draws: random.Random, raw: bytes, seeds: tuple[bytes, ...]) -> bytes:
    other = draws.choice(seeds)
    return raw[: draws.randrange(len(raw) + 1)] + other[draws.randrange(len(other) + 1) :]


def _blown_up(draws: random.Random, raw: bytes, seeds: tuple[bytes, ...]) -> bytes:
    """One number of a text becomes another."""
    found = list(re.finditer(rb"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", raw))
    if not found:
        return raw
    one = draws.choice(found)
    return raw[: one.start()] + draws.choice(NUMBERS) + raw[one.end() :]


def _with_token(draws: random.Random, raw: bytes, seeds: tuple[bytes, ...]) -> bytes:
    at = draws.randrange(len(raw) + 1)
    return raw[:at] + draws.choice(TOKENS) + raw[at + draws.choice((0, 0, 1, 4)) :]


def _with_length(draws: random.Random, raw: bytes, seeds: tuple[bytes, ...]) -> bytes:
    """Four or eight bytes, most often of a header, become a number that machines trip over."""
    size, number = (
        draws.choice((4, 8)),
        draws.choice((0, 1, 2**7, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)),
    )
    at = draws.randrange(draws.choice((1, 64, len(raw) + 1)))
    return raw[:at] + (number % 2 ** (8 * size)).to_bytes(size, "little") + raw[at + size :]


CHANGES = (_flipped, _cut, _repeated, _spliced, _blown_up, _blown_up, _with_token, _with_length)


class TooLong(BaseException):
    """A case takes more processor time than it may."""


def survive(target: Target, folder: Path, times: int = 1) -> list[str]:
    """Reads all cases of a target in a child; what went wrong, a line each.

    Args:
        target: What is attacked.
        folder: Empty; where the child runs. Nothing may be written there.
        times: How many times as many cases.
    """
    if target.warm:
        with contextlib.suppress(*target.refusals):
            target.read(target.finish(target.seeds[0]))
    at, (out, into) = mmap.mmap(-1, 8), os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # forking beside threads: none of them holds what the child needs
        child = os.fork()
    if not child:
        _attack(target, folder, times, at, into)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    faults: list[str] = json.loads(told) if told else []
    if status or not told:
        number = int.from_bytes(at[:8], "little")
        faults.append(f"{target.name}, case {number}: the process ended with status {status}")
    return faults + [f"{target.name}: {path} was written" for path in folder.iterdir()]


def _attack(target: Target, folder: Path, times: int, at: mmap.mmap, into: int) -> NoReturn:
    faults: list[str] = []
    try:
        os.chdir(folder)
        signal.signal(signal.SIGVTALRM, _too_long)
        has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (has + ROOM, has + ROOM))
        resource.setrlimit(resource.RLIMIT_CPU, (600 * times, 600 * times))
        for number in range(target.cases * times):
            at[:8] = number.to_bytes(8, "little")
            if fault := _fault(target, number):
                faults.append(f"{target.name}, case {number}: {fault}")
        os.write(into, json.dumps(faults[:20]).encode()[:60_000])
    except BaseException as error:
        os.write(
            into,
            json.dumps([*faults[:10], f"{target.name}: {type(error).__name__}: {error}"[:1000]]).encode(),
        )
    finally:
        sys.stdout.flush()
        os._exit(0)


def _too_long(*given: Any) -> NoReturn:
    raise TooLong


def case(target: Target, number: int) -> bytes:
    """One input, by its number alone."""
    return target.finish(changed(random.Random(f"{target.name} {number}"), target.seeds))


def _fault(target: Target, number: int) -> str:
    raw = case(target, number)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        target.read(raw)
    except target.refusals:
        return ""
    except (Exception, TooLong) as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return ""


def outcome(read: Callable[[], object], room: int = ROOM, seconds: float = 4 * SECONDS) -> str:
    """What comes of reading something in a child with little memory and time.

    Returns:
        `read`; `refused:` with the message; or `fault:` with what else was raised, or how the child died.
    """
    out, into = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
    if not child:
        _outcome(read, room, seconds, into)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        told = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    return told or f"fault: the process ended with status {status}"


def _outcome(read: Callable[[], object], room: int, seconds: float, into: int) -> NoReturn:
    told = "read"
    try:
        signal.signal(signal.SIGVTALRM, _too_long)
        signal.signal(signal.SIGALRM, _too_long)
        has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (has + room, has + room))
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        signal.alarm(int(20 * seconds))  # waiting takes no processor time
        read()
    except EnsembudgetError as error:
        told = f"refused: {error}"
    except BaseException as error:
        told = f"fault: {type(error).__name__}: {error}"
    finally:
        os.write(into, told.encode(errors="backslashreplace")[:4000])
        os._exit(0)
