"""The grammar of the command line, and how it ends."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from . import __version__, commands
from .budgets._base import DTYPES
from .catalog import FAMILIES
from .errors import EnsembudgetError
from .search import CONFIDENCE, TOLERANCE


class Parser(argparse.ArgumentParser):
    """A parser that says one thing when it is given another."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"ensembudget: {message}. See {self.prog} --help.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code: 0, 1 (members failed), 2 (wrong), 3 (incomplete)."""
    try:
        args = parser().parse_args(arguments)
        code = int(args.act(args))
        sys.stdout.flush()  # a reader that has gone shows here, where it is caught
        return code
    except EnsembudgetError as error:
        print(f"ensembudget: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("ensembudget: interrupted; the same command goes on from here.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("ENSEMBUDGET_TRACEBACK"):
            raise
        print(
            f"ensembudget: a fault of ensembudget's own: {type(error).__name__}: {error}. Please report it,"
            " with what ENSEMBUDGET_TRACEBACK=1 prints.",
            file=sys.stderr,
        )
        return 1


class Verb(NamedTuple):
    """One word of the command line: what it does, what may follow it, and how it is used."""

    act: Callable[[argparse.Namespace], int]
    about: str
    arguments: Callable[[Parser], None]
    examples: tuple[str, ...]


def parser() -> Parser:
    """Every verb with its arguments and examples."""
    top = Parser(
        prog="ensembudget",
        description="One wide network, or an ensemble of several thinner ones, on a fixed budget?",
    )
    top.add_argument("--version", action="version", version=f"ensembudget {__version__}")
    verbs = top.add_subparsers(title="verbs", metavar="VERB", required=True, parser_class=Parser)
    for name, verb in VERBS.items():
        one: Parser = verbs.add_parser(
            name,
            help=verb.about,
            description=verb.about,
            epilog="examples:\n" + "\n".join(f"  ensembudget {name} {e}".rstrip() for e in verb.examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        verb.arguments(one)
        one.set_defaults(act=verb.act)
    return top


def _quickstart(one: Parser) -> None:
    one.add_argument("--out", default="quickstart", help="holds store/ and report/ (default: quickstart)")


def _ls(one: Parser) -> None:
    kinds = [*commands.CATALOGS, "studies", "recipes"]
    one.add_argument("what", choices=kinds, metavar="WHAT", help=", ".join(kinds))


def _plan(one: Parser) -> None:
    one.add_argument("--family", required=True, help="see ls families")
    one.add_argument("--dataset", required=True, help="see ls datasets; parquet:DIR, folder:DIR read files")
    one.add_argument("--budget", required=True, help="like 36.8M, 250k, 40MB, 5.2GFLOP; several with commas")
    one.add_argument("--members", default="1,2,4,8,16", help="ensemble sizes (default: 1,2,4,8,16)")
    one.add_argument("--budget-kind", help="see ls budgets (default: what the unit says, else parameters)")
    one.add_argument("--multiple-of", type=int, default=1, metavar="M", help="only multiples of M as widths")
    one.add_argument("--dtype", choices=DTYPES, default="float32", help="how bytes count (default: float32)")
    _add_family_options(one)
    _add_format(one, "table", "csv", "json")


def _run(one: Parser) -> None:
    _add_study(one)
    one.add_argument("--executor", default="processes", help="see ls executors (default: processes)")
    one.add_argument("--workers", type=int, help="jobs at one time (default: the executor's)")
    one.add_argument("--threads", type=int, help="of each job (default: what a trial finds fastest)")
    one.add_argument("--device", default="cpu", help="as torch names it (default: cpu)")
    about = "how members are stepped, like pack=8,compiled=no (default: the study's, else a trial's)"
    one.add_argument("--stepping", metavar="FIELD=VALUE,...", help=about)
    about = "say what would be trained and how, and train nothing"
    one.add_argument("--dry-run", action="store_true", help=about)


def _report(one: Parser) -> None:
    _add_study(one)
    one.add_argument("--out", help="a folder (default: report/NAME)")
    one.add_argument("--allow-partial", action="store_true", help="report what there is, marked as partial")
    one.add_argument("--costs", help="CSV of measured costs, as `pytest benchmarks` writes it")


def _evaluate(one: Parser) -> None:
    about = "safetensors with logits (member, sample, class) and labels (sample)"
    one.add_argument("--logits", required=True, metavar="FILE", help=about)
    one.add_argument("--out", help="a folder for the tables scores and sizes, in every format")
    _add_format(one, "table", "csv", "json")


def _fit(one: Parser) -> None:
    one.add_argument("points", metavar="POINTS.csv", help="a CSV with a header")
    one.add_argument("--x", required=True, metavar="COLUMN", help="what the law goes along")
    one.add_argument("--y", required=True, metavar="COLUMN", help="what falls")
    one.add_argument("--law", default="power_law", help="see ls laws (default: power_law)")
    one.add_argument("--objective", help="what is minimised (default: the law's own)")
    _add_format(one, "table", "json")


def _predict(one: Parser) -> None:
    one.add_argument("source", metavar="STUDY|PLANE.csv", help="a study, or members,width,parameters,cnll")
    one.add_argument("--budget", required=True, help="like 36.8M, 250k; several with commas")
    one.add_argument("--members", help="ensemble sizes (default: powers of two)")
    one.add_argument("--arm", help="which, where there are several")
    one.add_argument("--store", help="a study's (default: $ENSEMBUDGET_STORE, else store)")
    one.add_argument("--out", help="a folder for the table in every format and the figure")
    _add_format(one, "table", "csv", "json")


def _search(one: Parser) -> None:
    _add_study(one)
    one.add_argument("--budget", required=True, help="like 36.8M, 250k")
    about = "training it may cost, of the study's own for this budget, like 25%%, or like 40TFLOP"
    one.add_argument("--spend", required=True, help=about)
    one.add_argument("--arm", help="which, where there are several")
    about = f"above the lowest CNLL what is as good as the best (default: {TOLERANCE})"
    one.add_argument("--tolerance", type=float, default=TOLERANCE, metavar="FRACTION", help=about)
    about = f"with which the choice must be that good (default: {CONFIDENCE})"
    one.add_argument("--confidence", type=float, default=CONFIDENCE, metavar="PROBABILITY", help=about)
    one.add_argument("--executor", default="serial", help="see ls executors (default: serial)")
    one.add_argument("--device", default="cpu", help="as torch names it (default: cpu)")
    one.add_argument("--dry-run", action="store_true", help="say what would be next, and train nothing")
    _add_format(one, "table", "json")


def _add_study(one: Parser) -> None:
    one.add_argument("study", metavar="STUDY", help="a preset (see ls studies) or the path of a TOML file")
    one.add_argument("--store", help="a folder (default: $ENSEMBUDGET_STORE, else store)")


def _add_format(one: Parser, *kinds: str) -> None:
    one.add_argument(
        "--format", choices=kinds, default=kinds[0], help=f"{' or '.join(kinds)} (default: {kinds[0]})"
    )


def _add_family_options(one: Parser) -> None:
    """A flag for every option that some family has."""
    defaults = {name: value for family in FAMILIES for name, value in FAMILIES[family].options.items()}
    for name, value in defaults.items():
        owners = ", ".join(family for family in FAMILIES if name in FAMILIES[family].options)
        flag = f"--{name.replace('_', '-')}"
        words = next((FAMILIES[f].choices[name] for f in FAMILIES if name in FAMILIES[f].choices), None)
        if words:
            one.add_argument(flag, choices=words, help=f"of {owners}", dest=f"option_{name}")
        elif isinstance(value, bool):
            one.add_argument(
                flag, action="store_true", default=None, help=f"of {owners}", dest=f"option_{name}"
            )
        else:
            one.add_argument(flag, type=int, metavar="N", help=f"of {owners}", dest=f"option_{name}")


VERBS = {
    "quickstart": Verb(
        commands.quickstart_command,
        "the whole flow on handwritten digits, about a minute on two cores",
        _quickstart,
        ("", "--out try"),
    ),
    "ls": Verb(commands.ls_command, "what there is", _ls, ("families", "studies")),
    "plan": Verb(
        commands.plan_command,
        "the widths that spend a budget; nothing is trained",
        _plan,
        (
            "--family wide_resnet --depth 28 --dataset cifar100 --budget 36.8M --members 1,2,4,8,16",
            "--family vgg --dataset cifar10 --budget 40MB,80MB --members 1,4 --multiple-of 8 --format csv",
        ),
    ),
    "run": Verb(
        commands.run_command,
        "trains what is missing of a study; the same command again goes on",
        _run,
        ("digits", "my_study.toml --store results --workers 4", "digits --dry-run"),
    ),
    "status": Verb(
        commands.status_command,
        "planned, done, diverged, failed, and the time left",
        _add_study,
        ("digits", "my_study.toml --store results"),
    ),
    "report": Verb(
        commands.report_command,
        "tables and figures, from the store alone",
        _report,
        ("digits --out report", "digits --allow-partial"),
    ),
    "evaluate": Verb(
        commands.evaluate_command,
        "scores logits that were trained elsewhere",
        _evaluate,
        ("--logits pool.safetensors --out scores",),
    ),
    "fit": Verb(
        commands.fit_command,
        "fits a law to anybody's points",
        _fit,
        ("points.csv --x members --y cnll", "points.csv --x width --y cnll --format json"),
    ),
    "predict": Verb(
        commands.predict_command,
        "the best split of a budget and its CNLL, from few small members",
        _predict,
        ("digits --budget 250k,500k", "plane.csv --budget 15.3M --format json"),
    ),
    "search": Verb(
        commands.search_command,
        "the best split of a budget, training only what is needed to know it",
        _search,
        ("digits --budget 122k --spend 25%%", "my_study.toml --budget 250k --spend 40TFLOP --dry-run"),
    ),
}
