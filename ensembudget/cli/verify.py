"""`ensembudget verify`: recomputes a published report from its logits, and shows what differs."""

import argparse
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .parser import Command, Parser

if TYPE_CHECKING:
    from ..verbs.verify import Verification

LISTED = 20  # lines of one kind and folder, unless all are asked for


def add_arguments(parser: Parser) -> None:
    parser.add_argument("folder", metavar="DIR", help="a report's folder, or a folder of such folders")
    about = "pass numbers that differ only beyond printed digits, as they may on another machine"
    parser.add_argument("--as-printed", action="store_true", help=about)
    parser.add_argument("--all", action="store_true", help=f"list all differences, not the first {LISTED}")


def act(args: argparse.Namespace) -> int:
    from ..verbs.verify import verify_all
    from .show import print_lines

    found = verify_all(args.folder)
    for one in found:
        print_lines(_lines(one, as_printed=args.as_printed, most=None if args.all else LISTED))
    if len(found) > 1:
        print_lines([_together(found, as_printed=args.as_printed)])
    return exit_code([one.code(as_printed=args.as_printed) for one in found])


def exit_code(codes: Sequence[int]) -> int:
    """The exit code for several folders: 2 or 1 if any has it, 3 if none has logits, else 0.

    >>> exit_code([0, 3]), exit_code([3, 3]), exit_code([0, 1, 2])
    (0, 3, 2)
    """
    return next((worst for worst in (2, 1, 0) if worst in codes), 3)


def _lines(one: "Verification", *, as_printed: bool, most: int | None) -> Iterable[str]:
    yield f"{one.folder}: {_verdict(one, as_printed=as_printed)}"
    yield from _some([f"  not as sealed: {fault}" for fault in one.faults], most)
    yield from _some([f"  differs: {difference}" for difference in one.differences], most)
    yield from _some([f"  not checked: {what}: {why}" for what, why in one.unchecked], most)


def _some(lines: Sequence[str], most: int | None) -> list[str]:
    more = len(lines) - len(lines[:most])
    return [*lines[:most], *([f"  and {more} more; --all lists them"] if more else [])]


def _verdict(one: "Verification", *, as_printed: bool) -> str:
    code = one.code(as_printed=as_printed)
    beyond = len(one.differences) - len(one.printed)
    small = f"{beyond} differ only beyond the printed digits" if beyond else ""
    if code == 2:
        return f"CANNOT BE READ. {one.refusal}"
    if code == 1:
        counted = f"{len(one.printed)} values differ" + (f", {small}" if small else "")
        return f"DIFFERS. {counted}; {len(one.faults)} files are not as sealed."
    if code == 3:
        return f"NOT RECOMPUTED. {one.files} files render again from their CSV; there are no logits."
    exactly = f"as printed; {small}" if small else "to the last digit"
    return f"VERIFIED. {one.cells:,} cells computed again from logits, {exactly}; {one.files} files rendered."


def _together(found: Sequence["Verification"], *, as_printed: bool) -> str:
    codes = [one.code(as_printed=as_printed) for one in found]
    return (
        f"{len(found)} folders: {codes.count(0)} verified from logits, {codes.count(3)} without logits and"
        f" consistent, {codes.count(1)} differ, {codes.count(2)} cannot be read."
    )


command = Command(
    "recompute a published report from its logits, and show what differs",
    add_arguments,
    act,
    ("published", "tables", "published --as-printed"),
)
