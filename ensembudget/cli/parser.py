"""The grammar of the command line."""

import argparse
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from .. import __version__
from ..errors import did_you_mean
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

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = list(action.choices)
            near = did_you_mean(str(value), known)
            raise argparse.ArgumentError(action, f"no {value!r} here.{near} Known: {', '.join(known)}")

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"ensembudget: {message}. See {self.prog} --help.\n")


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
        "first look", "cut the study short; it becomes a study of its own, and says so"
    )
    about = "train for N epochs"
    look.add_argument("--epochs", type=int, metavar="N", help=about)
    about = "train on N samples"
    look.add_argument("--train-size", type=int, metavar="N", help=about)
    about = "train N members of each width at most"
    look.add_argument("--limit", type=int, metavar="N", help=about)


def add_store(parser: Parser) -> None:
    parser.add_argument(
        "--store", help="the folder of trained members (default: $ENSEMBUDGET_STORE, else store)"
    )


def add_format(parser: Parser, *kinds: str) -> None:
    parser.add_argument("--format", choices=kinds, default=kinds[0], help=f"default: {kinds[0]}")
    add_columns(parser)


def add_columns(parser: Parser) -> None:
    about = "of tables: fit, as many as the screen has place for, the important ones first; or all"
    parser.add_argument("--columns", choices=("fit", "all"), default="fit", help=about)


def add_device(parser: Parser) -> None:
    parser.add_argument("--device", default="cpu", help="a torch device, such as cpu or cuda (default: cpu)")
