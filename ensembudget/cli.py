"""The command line: parses, calls one verb, prints."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from . import __version__, recipes, studies
from .budgets._base import DTYPES, parse_budget
from .catalog import BUDGETS, DATASETS, EXECUTORS, FAMILIES, LAWS, MODES, Catalog
from .datasets._base import task_of
from .errors import EnsembudgetError, FitError, PlanError, ScoreError, did_you_mean
from .evaluate import evaluate, read_logits
from .laws._base import fit_points
from .plan import split
from .progress import duration, shown
from .records import Plan, Split
from .report.render import from_csv, render, to_csv
from .report.write import open_folder, report, write_table
from .run import (
    check_device,
    missing_jobs,
    plan_study,
    run,
    seconds_left,
    status,
    stored_plan,
    training_flops,
)
from .scoring.ensembles import score_pool
from .store import Store
from .tables import memory_split, power_laws, scores
from .tables._base import Column, Layout, Row

CATALOGS: dict[str, Catalog[Any]] = {
    "families": FAMILIES,
    "datasets": DATASETS,
    "modes": MODES,
    "budgets": BUDGETS,
    "laws": LAWS,
    "executors": EXECUTORS,
}

SPLITS = Layout(
    "plan",
    "Splits",
    (
        Column("budget_kind", "of"),
        Column("budget", "budget", ",d"),
        Column("members", "members", "d"),
        Column("width", "width", "d"),
        Column("parameters_per_member", "parameters each", ",d"),
        Column("parameters_total", "parameters", ",d"),
        Column("error_percent", "off budget, %", "+.2f"),
        Column("flops_per_sample", "FLOP/sample", ",d"),
        Column("bytes_total", "bytes", ",d"),
        Column("activations_per_sample", "activations", ",d"),
    ),
)

STATUS = Layout(
    "status",
    "Members",
    (
        Column("family", "family"),
        Column("width", "width", "d"),
        Column("hyperparameters", "hyperparameters"),
        Column("planned", "planned", "d"),
        Column("done", "done", "d"),
        Column("diverged", "diverged", "d"),
        Column("failed", "failed", "d"),
        Column("seconds_each", "seconds each", ".1f"),
    ),
)


class Parser(argparse.ArgumentParser):
    """A parser that says one thing when it is given another."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"ensembudget: {message}. See {self.prog} --help.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code: 0, 1 (members failed), 2 (wrong), 3 (incomplete)."""
    try:
        args = parser().parse_args(arguments)
        return int(args.verb(args))
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


def parser() -> Parser:
    top = Parser(
        prog="ensembudget",
        description="One wide network, or an ensemble of several thinner ones, on a fixed budget?",
    )
    top.add_argument("--version", action="version", version=f"ensembudget {__version__}")
    verbs = top.add_subparsers(title="verbs", metavar="VERB", required=True, parser_class=Parser)

    def verb(name: str, act: Callable[[Any], int], about: str, *examples: str) -> Parser:
        epilog = "examples:\n" + "\n".join(f"  ensembudget {example}" for example in examples)
        made: Parser = verbs.add_parser(
            name, help=about, description=about, epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
        )  # fmt: skip
        made.set_defaults(verb=act)
        return made

    one = verb("quickstart", _quickstart, "the whole flow on handwritten digits, two minutes on two cores",
               "quickstart", "quickstart --out /tmp/try")  # fmt: skip
    one.add_argument("--out", default="quickstart", help="holds store/ and report/ (default: quickstart)")

    one = verb("ls", _ls, "what there is", "ls families", "ls studies")
    one.add_argument("what", choices=[*CATALOGS, "studies", "recipes"], metavar="WHAT",
                     help=", ".join([*CATALOGS, "studies", "recipes"]))  # fmt: skip

    one = verb(
        "plan", _plan, "the widths that spend a budget; nothing is trained",
        "plan --family wide_resnet --depth 28 --dataset cifar100 --budget 36.8M --members 1,2,4,8,16",
        "plan --family vgg --dataset cifar10 --budget 40MB,80MB --members 1,4 --multiple-of 8 --format csv",
    )  # fmt: skip
    one.add_argument("--family", required=True, help="see ls families")
    one.add_argument(
        "--dataset", required=True, help="see ls datasets; parquet:DIR and folder:DIR read files"
    )
    one.add_argument("--budget", required=True, help="like 36.8M, 250k, 40MB, 5.2GFLOP; several with commas")
    one.add_argument(
        "--members", default="1,2,4,8,16", help="ensemble sizes, with commas (default: 1,2,4,8,16)"
    )
    one.add_argument("--budget-kind", help="see ls budgets (default: what the unit says, else parameters)")
    one.add_argument(
        "--multiple-of", type=int, default=1, metavar="M", help="only widths that are multiples of M"
    )
    one.add_argument(
        "--dtype", choices=DTYPES, default="float32", help="how bytes are counted (default: float32)"
    )
    _add_family_options(one)
    _add_format(one, "table", "csv", "json")

    one = verb("run", _run, "trains what is missing of a study; the same command again goes on",
               "run digits", "run my_study.toml --store results --workers 4",
               "run digits --dry-run")  # fmt: skip
    _add_study(one)
    one.add_argument("--executor", default="processes", help="see ls executors (default: processes)")
    one.add_argument("--workers", type=int, help="jobs at one time (default: the executor's)")
    one.add_argument("--device", default="cpu", help="as torch names it (default: cpu)")
    one.add_argument("--dry-run", action="store_true", help="say what would be trained, and train nothing")

    one = verb("status", _status, "planned, done, diverged, failed, and the time left", "status digits")
    _add_study(one)

    one = verb("report", _report, "tables and figures, from the store alone",
               "report digits --out report", "report digits --allow-partial")  # fmt: skip
    _add_study(one)
    one.add_argument("--out", help="a folder (default: report/NAME)")
    one.add_argument(
        "--allow-partial", action="store_true", help="report the members there are, marked as partial"
    )
    one.add_argument("--costs", help="CSV of measured costs, as `pytest benchmarks` writes it")

    one = verb("evaluate", _evaluate, "scores logits that were trained elsewhere",
               "evaluate --logits pool.safetensors --out scores")  # fmt: skip
    one.add_argument("--logits", required=True, metavar="FILE",
                     help="safetensors with logits (member, sample, class) and labels (sample)")  # fmt: skip
    one.add_argument("--out", help="a folder for scores.csv, .md, .tex and .html")
    _add_format(one, "table", "csv", "json")

    one = verb("fit", _fit, "fits a law to anybody's points",
               "fit points.csv --x members --y cnll",
               "fit points.csv --x width --y cnll --format json")  # fmt: skip
    one.add_argument("points", metavar="POINTS.csv", help="a CSV with a header")
    one.add_argument("--x", required=True, metavar="COLUMN", help="what the law goes along")
    one.add_argument("--y", required=True, metavar="COLUMN", help="what falls")
    one.add_argument("--law", default="power_law", help="see ls laws (default: power_law)")
    one.add_argument("--objective", help="what is minimised (default: the law's own)")
    _add_format(one, "table", "json")
    return top


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
        if isinstance(value, bool):
            one.add_argument(
                flag, action="store_true", default=None, help=f"of {owners}", dest=f"option_{name}"
            )
        else:
            one.add_argument(flag, type=int, help=f"of {owners}", dest=f"option_{name}")


def _quickstart(args: argparse.Namespace) -> int:
    out = open_folder(args.out)
    planned, store = plan_study(studies.load("digits")), Store(out / "store")
    print(render(SPLITS, [_split_row(s) for s in planned.splits], "txt"))
    failed = _train(planned, store, "processes", None, "cpu")
    _print_report(planned, store, out / "report", None, allow_partial=False)
    return failed


def _ls(args: argparse.Namespace) -> int:
    if args.what == "studies":
        lines = [(name, studies.load(name).description) for name in studies.names()]
    elif args.what == "recipes":
        lines = [(name, recipes.source(name)) for name in recipes.names()]
    else:
        catalog = CATALOGS[args.what]
        lines = [(name, catalog.summary(name)) for name in catalog]
    longest = max(len(name) for name, _ in lines)
    for name, about in lines:
        print(f"{name:{longest}}  {about}")
    return 0


def _plan(args: argparse.Namespace) -> int:
    options = {
        name.removeprefix("option_"): value
        for name, value in vars(args).items()
        if name.startswith("option_") and value is not None
    }
    FAMILIES[args.family]
    if args.budget_kind is not None:
        BUDGETS[args.budget_kind]
    members = [_whole(text, "--members") for text in args.members.split(",")]
    budgets = [parse_budget(text, args.budget_kind) for text in args.budget.split(",")]
    task = task_of(args.dataset)
    chosen = {"options": options, "multiple_of": args.multiple_of, "dtype": args.dtype}
    found = [split(args.family, task, budget, n, kind, **chosen) for budget, kind in budgets for n in members]
    rows = [_split_row(one) for one in found]
    _print_rows(SPLITS, rows, args.format)
    off = [one for one in found if abs(one.error_percent) > 1]
    if off and args.format == "table":
        print(
            f"{len(off)} of {len(found)} splits are more than 1% off their budget: widths are whole numbers."
        )
    return 0


def _run(args: argparse.Namespace) -> int:
    study = studies.load(args.study)
    EXECUTORS[args.executor]
    check_device(args.device)
    if args.workers is not None and args.workers < 1:
        raise PlanError(f"--workers {args.workers} is below 1, the least that can work.")
    planned = plan_study(study)  # every fault of the request, before a store is made
    store = Store(_store_path(args))
    if args.dry_run:
        runs = [run for job in missing_jobs(planned, store) for run in job.runs if run.key not in store]
        print(render(SPLITS, [_split_row(s) for s in planned.splits], "txt"))
        left = seconds_left(status(planned, store), planned)
        print(
            f"{len(planned.runs)} members planned, {len(planned.runs) - len(runs)} in the store,"
            f" {len(runs)} to"
            f" train: {training_flops(planned, runs):.3g} FLOP"
            + (f", about {duration(left)} one after another" if left is not None else "")
            + ". Nothing was trained."
        )
        return 0
    return _train(planned, store, args.executor, args.workers, args.device)


def _train(planned: Plan, store: Store, executor: str, workers: int | None, device: str) -> int:
    name = planned.study.name
    with shown(name) as on_progress:
        outcomes = run(
            planned, store, executor=executor, workers=workers, device=device, on_progress=on_progress
        )
    failed = [one for one in outcomes if one.status == "failed"]
    diverged = sum(one.status == "diverged" for one in outcomes)
    print(
        f"{name}: {len(outcomes) - len(failed)} members trained now"
        + (f", {diverged} of them diverged" if diverged else "")
        + (f"; {len(failed)} failed" if failed else ""),
        file=sys.stderr,
    )
    for reason in sorted({one.reason or "" for one in failed}):
        print(f"ensembudget: {sum(one.reason == reason for one in failed)} failed: {reason}", file=sys.stderr)
    return 1 if failed else 0


def _status(args: argparse.Namespace) -> int:
    study, store = studies.load(args.study), _existing_store(args)
    planned = stored_plan(study, store)
    rows = status(planned, store)
    print(render(STATUS, [
        {
            "family": row.planned.cell.family,
            "width": row.planned.cell.width,
            "hyperparameters": row.planned.origin,
            "planned": row.planned.members,
            "done": row.done,
            "diverged": row.diverged,
            "failed": row.failed,
            "seconds_each": row.seconds_each,
        }
        for row in rows
    ], "txt"))  # fmt: skip
    for reason in sorted({reason for row in rows for reason in row.reasons}):
        print(f"failed: {reason}")
    left, missing = seconds_left(rows, planned), sum(row.missing for row in rows)
    when = "unknown, nothing is trained yet" if left is None else f"about {duration(left)} one after another"
    print(f"{missing} of {len(planned.runs)} members to train; time left: {when if missing else 'none'}.")
    return 0


def _report(args: argparse.Namespace) -> int:
    study, store = studies.load(args.study), _existing_store(args)
    planned = stored_plan(study, store)
    out = Path(args.out) if args.out else Path("report") / study.name
    _print_report(planned, store, out, args.costs, allow_partial=args.allow_partial)
    return 0


def _print_report(planned: Plan, store: Store, out: Path, costs: str | None, *, allow_partial: bool) -> None:
    results = evaluate(planned, store, allow_partial=allow_partial)
    rows = report(results, out, read_costs(costs) if costs else None)
    print(render(memory_split.summary, rows, "txt"))
    for sentence in memory_split.verdicts(rows):
        print(sentence)
    print()
    laws = from_csv((out / "power_laws.csv").read_text())
    print(render(power_laws.layout, laws, "txt"))
    print(f"Tables, figures and manifest are in {out}.")


def _evaluate(args: argparse.Namespace) -> int:
    logits, labels = read_logits(args.logits)
    folder = open_folder(args.out) if args.out else None
    rows = [scores.score_row(score) for score in score_pool(logits, labels).scores]
    if folder:
        write_table(folder, scores.layout, rows, [])
    _print_rows(scores.layout, rows, args.format)
    return 0


def _fit(args: argparse.Namespace) -> int:
    x, y = _columns(args.points, args.x, args.y)
    LAWS[args.law]
    fitted = fit_points(x, y, args.law, args.objective)
    if args.format == "json":
        print(json.dumps(fitted.model_dump(mode="json"), indent=1))
        return 0
    print(render(power_laws.layout, [power_laws.fit_row(args.x, args.y, fitted)], "txt"))
    if fitted.status != "ok":
        print(f"No law: {fitted.status}.")
    return 0


def _columns(path: str, x: str, y: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise FitError(f"points {path!r} cannot be read as CSV: {error}.") from None
    for flag, column in (("--x", x), ("--y", y)):
        if column not in frame:
            raise FitError(
                f"{flag} {column!r} is no column of {path!r}.{did_you_mean(column, frame.columns)}"
                f" It has {', '.join(map(str, frame.columns))}."
            )
        if not pd.api.types.is_numeric_dtype(frame[column]):
            raise FitError(f"{flag} {column!r} of {path!r} is not a column of numbers.")
    return frame[x].to_numpy(np.float64), frame[y].to_numpy(np.float64)


def read_costs(path: str) -> dict[tuple[int, int], Row]:
    """Costs by (budget, members), as the benchmarks write them."""
    try:
        rows = from_csv(Path(path).read_text())
        return {(int(str(row.pop("budget"))), int(str(row.pop("members")))): row for row in rows}
    except (OSError, KeyError, ValueError) as error:
        raise ScoreError(f"costs {path!r} cannot be read: {error}.") from None


def _print_rows(layout: Layout, rows: Sequence[Row], kind: str) -> None:
    if kind == "json":
        print(json.dumps(rows, indent=1))
    elif kind == "csv":
        print(to_csv(layout, rows), end="")
    else:
        print(render(layout, rows, "txt"))


def _split_row(one: Split) -> Row:
    return dict(one.model_dump())


def _whole(text: str, flag: str) -> int:
    try:
        number = float(text)
    except ValueError:
        raise PlanError(f"{flag} {text!r} is not a whole number. Write it like 1,2,4,8.") from None
    if number != int(number) or number < 1:
        raise PlanError(f"{flag} {text!r} must be a whole number of at least 1.")
    return int(number)


def _store_path(args: argparse.Namespace) -> Path:
    return Path(args.store or os.environ.get("ENSEMBUDGET_STORE") or "store")


def _existing_store(args: argparse.Namespace) -> Store:
    """The store, for verbs that only read: asking must not make one."""
    path = _store_path(args)
    if not (path / "store.json").exists():
        raise PlanError(f"no store at {str(path)!r}. Train with `run` first, or name one with --store.")
    return Store(path)
