"""How much a command says on standard error besides its answer: `--quiet` and `--verbose`."""

import argparse
import sys

from ..errors import visible

quiet = False  # no progress, and nothing but what went wrong
verbose = False  # also where things lie, how long it took, and where in the source it went wrong


def add_arguments(parser: argparse.ArgumentParser) -> None:
    volume = parser.add_mutually_exclusive_group()
    volume.add_argument("--quiet", action="store_true", help="no progress; only the answer, and errors")
    volume.add_argument("--verbose", action="store_true", help="say more, and show where errors come from")


def set_volume(args: argparse.Namespace) -> None:
    """Sets the volume from the command line; every command sets it anew."""
    global quiet, verbose
    quiet, verbose = args.quiet, args.verbose


def say(text: str) -> None:
    """Prints what helps to follow a command, but is not part of its answer."""
    if not quiet:
        print(visible(text), file=sys.stderr, flush=True)


def detail(text: str) -> None:
    """Prints what only --verbose shows."""
    if verbose:
        print(f"ensembudget: {visible(text)}", file=sys.stderr, flush=True)
