"""`ensembudget completion`: a script by which a shell completes commands, flags and files."""

import argparse
from collections.abc import Iterator

from .parser import COMMANDS, Command, Parser, build_parser

SHELLS = ("bash", "zsh")  # shtab completes no flags in tcsh
# What is a file or a folder, by the name that the argument has in the source.
FILES = ("study", "studies", "source", "points", "logits", "probabilities", "labels", "costs")
FOLDERS = ("store", "other", "out")


def add_arguments(parser: Parser) -> None:
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


def act(args: argparse.Namespace) -> int:
    import shtab

    parser = build_parser(COMMANDS)
    for action in _actions(parser):
        if action.dest in FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.dest in FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    print(shtab.complete(parser, shell=args.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from _actions(one)


command = Command(
    "print a script for bash or zsh that completes commands and flags",
    add_arguments,
    act,
    ("bash > ~/.local/share/bash-completion/completions/ensembudget", "zsh"),
)
