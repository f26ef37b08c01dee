"""`ensembudget store`: lists, measures, tidies and merges stores."""

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ArgumentError
from .parser import FORMATS, Command, Parser, add_format, add_store
from .voice import say

if TYPE_CHECKING:
    from ..store import Store

ACTIONS = {
    "ls": "list the members",
    "du": "show what takes space",
    "gc": "show what is no longer needed; --yes removes it",
    "merge": "copy what this store lacks from the stores OTHER",
}


def add_arguments(parser: Parser) -> None:
    about = "; ".join(f"{name}: {what}" for name, what in ACTIONS.items())
    parser.add_argument("action", choices=tuple(ACTIONS), metavar="ACTION", help=about)
    parser.add_argument("others", nargs="*", metavar="OTHER", help="stores to merge into that of --store")
    add_store(parser)
    parser.add_argument("--yes", action="store_true", help="with gc: remove what is no longer needed")
    add_format(parser, *FORMATS)


def act(args: argparse.Namespace) -> int:
    from .values import existing_store

    if bool(args.others) != (args.action == "merge"):
        raise ArgumentError(
            "store merge needs the other store: `store merge OTHER`."
            if args.action == "merge"
            else f"store {args.action} takes no {args.others[0]!r}. Name a store with --store."
        )
    if args.yes and args.action != "gc":
        raise ArgumentError(f"--yes belongs to `store gc`; `store {args.action}` removes nothing.")
    if args.action == "merge":
        return merge(args)
    {"ls": ls, "du": du, "gc": gc}[args.action](existing_store(args), args)
    return 0


def ls(store: "Store", args: argparse.Namespace) -> None:
    from ..store.inventory import stored_cells
    from .layouts import STORED
    from .show import print_rows

    cells, unreadable = stored_cells(store.root)
    print_rows(STORED, STORED.rows(cells), args.format)
    for key in unreadable:
        say(f"ensembudget: member {key} cannot be read; a command that needs it says why.")


def du(store: "Store", args: argparse.Namespace) -> None:
    from ..store.inventory import usages
    from .layouts import SPACE
    from .show import print_rows

    print_rows(SPACE, SPACE.rows(usages(store.root)), args.format)


def gc(store: "Store", args: argparse.Namespace) -> None:
    from ..errors import StoreError
    from ..store.garbage import garbage, remove
    from .layouts import GARBAGE
    from .show import print_rows

    found = garbage(store.root)
    print_rows(GARBAGE, GARBAGE.rows(found), args.format)
    total = f"{len(found)} things, {sum(one.bytes for one in found):,} bytes"
    if not args.yes:
        say(f"{total}. Nothing was removed{'' if not found else '; say --yes to remove them'}.")
        return
    if left := remove(found):
        raise StoreError(f"{len(left)} of {total} could not be removed, first {str(left[0])!r}.")
    say(f"{total} removed.")


def merge(args: argparse.Namespace) -> int:
    from ..errors import StoreError
    from ..store import Store
    from .layouts import MERGED
    from .show import print_rows
    from .values import existing_store, store_path

    others = [existing_store(argparse.Namespace(store=other)) for other in args.others]
    root = store_path(args)
    for other in args.others:
        if root.resolve() == Path(other).resolve():
            raise StoreError(f"store {other!r} cannot be merged into itself. Name another with --store.")
    found = [one for other in others for one in Store(root).merge(other)]
    told = [one for one in found if one.why]
    if told or args.format != "table":
        print_rows(MERGED, MERGED.rows(told if args.format == "table" else found), args.format)
    counts = Counter(one.outcome for one in found)
    told_all = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    say(told_all or "There is nothing to take over.")
    return 1 if told else 0


command = Command(
    "list, measure, tidy and merge stores of trained members",
    add_arguments,
    act,
    ("ls", "du --store results", "gc --yes", "merge ../elsewhere/store"),
)
