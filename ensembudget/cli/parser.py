"""The grammar of the command line."""

import argparse
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from .. import __version__
from ..errors import did_you_mean, told
from . import voice

# In the order of the work; `ensembudget/cli/NAME.py` holds `command`.
COMMANDS = (
    "quickstart",
    "init",
    "ls",
    "plan",
    "tune",
    "run",
    "status",
    "report",
    "compare",
    "export",
    "bundle",
    "verify",
    "evaluate",
    "fit",
    "predict",
    "search",
    "curves",
    "store",
    "completion",
)


FORMATS = ("table", "csv", "json")


class Parser(argparse.ArgumentParser):
    """A parser that answers a wrong word with one line, and the word that may have been meant."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, but each command refuses unknown arguments itself, as it knows its own flags."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            flags = [flag for action in self._actions for flag in action.option_strings]
            near = did_you_mean(unknown[0].partition("=")[0], flags)
            self.error(f"unknown argument {told(unknown[0])}.{near}")
        return found, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = list(action.choices)
            near = did_you_mean(str(value), known)
            called = action.option_strings[-1] if action.option_strings else str(action.metavar).lower()
            self.error(f"unknown {called} {told(str(value))}.{near} Known: {', '.join(known)}.")

    def error(self, message: str) -> NoReturn:
        sentence = message if message.endswith((".", "?")) else f"{message}."
        self.exit(2, f"ensembudget: {sentence} See {self.prog} --help.\n")


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        about: One line for `ensembudget --help`.
        add_arguments: Adds its arguments to its parser.
        act: Runs it; returns the exit code.
        examples: What may follow the command's name.
    """

    about: str
    add_arguments: Callable[[Parser], None]
    act: Callable[[argparse.Namespace], int]
    examples: tuple[str, ...]


def build_parser(words: Sequence[str]) -> Parser:
    """The parser for one command line: only the command it names first gets its arguments.

    Arguments may need imports that take seconds (`plan` has a flag for every option of a family). `COMMANDS`
    in place of a command line gives all of them their arguments.
    """
    top = Parser(
        prog="ensembudget",
        description="One wide network, or an ensemble of several thinner ones, on a fixed budget?",
    )
    top.add_argument("--version", action="version", version=f"ensembudget {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)
    chosen = next((word for word in words if not word.startswith("-")), None)
    for name in COMMANDS:
        command: Command = importlib.import_module(f"{__package__}.{name}").command
        one: Parser = commands.add_parser(
            name,
            help=command.about,
            description=command.about,
            epilog="examples:\n" + "\n".join(f"  ensembudget {name} {e}".rstrip() for e in command.examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name == chosen or words is COMMANDS:
            command.add_arguments(one)
            voice.add_arguments(one)
            one.set_defaults(act=command.act)
    return top


def add_study(parser: Parser) -> None:
    """The study and its store."""
    parser.add_argument("study", metavar="STUDY", help="a preset (see ls studies) or a TOML file")
    add_store(parser)
    look = parser.add_argument_group(
        "first look", "cut the study short; it counts as another study, and its reports say so"
    )
    about = "train for N epochs"
    look.add_argument("--epochs", type=int, metavar="N", help=about)
    about = "train on N samples"
    look.add_argument("--train-size", type=int, metavar="N", help=about)
    about = "train at most N members of each width"
    look.add_argument("--limit", type=int, metavar="N", help=about)


def add_store(parser: Parser) -> None:
    parser.add_argument(
        "--store", help="the folder of trained members (default: $ENSEMBUDGET_STORE, else store)"
    )


def add_format(parser: Parser, *kinds: str) -> None:
    parser.add_argument("--format", choices=kinds, default=kinds[0], help=f"default: {kinds[0]}")
    add_columns(parser)


def add_columns(parser: Parser) -> None:
    about = "of tables: as many as fit on the screen, the important ones first, or all (default: fit)"
    parser.add_argument("--columns", choices=("fit", "all"), default="fit", help=about)


def add_device(parser: Parser) -> None:
    parser.add_argument("--device", default="cpu", help="a torch device, such as cpu or cuda (default: cpu)")
