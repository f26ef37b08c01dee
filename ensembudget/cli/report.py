"""`ensembudget report`: tables and figures from the store alone."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .parser import Command, Parser, add_study

if TYPE_CHECKING:
    from ..records import Plan
    from ..store import Store


def add_arguments(parser: Parser) -> None:
    add_study(parser)
    parser.add_argument("--out", help="a folder for tables and figures (default: report/NAME)")
    about = "report the members that are there, marked as partial"
    parser.add_argument("--allow-partial", action="store_true", help=about)
    parser.add_argument("--costs", help="a CSV of measured costs, as `pytest benchmarks` writes it")


def act(args: argparse.Namespace) -> int:
    from .. import studies
    from ..verbs.plan import stored_plan
    from .values import existing_store

    study, store = studies.load_study(args.study), existing_store(args)
    planned = stored_plan(study, store)
    out = Path(args.out) if args.out else Path("report") / study.name
    print_report(planned, store, out, args.costs, allow_partial=args.allow_partial)
    return 0


def print_report(
    planned: "Plan", store: "Store", out: Path, costs: str | None, *, allow_partial: bool
) -> None:
    """Writes a report and prints its tables."""
    from ..rendering.notes import result_notes
    from ..rendering.render import from_csv, render
    from ..verbs.analyse import analyse
    from ..verbs.evaluate import evaluate
    from ..verbs.report import report
    from .values import read_costs

    results = evaluate(planned, store, allow_partial=allow_partial)
    analysis = analyse(results, read_costs(costs) if costs else None)
    for table in report(analysis, out):
        # What is printed is what was written.
        print(render(table.short, from_csv((out / f"{table.name}.csv").read_text()), "txt"))
        if notes := table.notes(analysis):
            print(*notes, sep="\n", end="\n\n")
    if results.partial:
        print(*result_notes(results), sep="\n", end="\n\n")
    print(f"Tables, figures and manifest are in {out}.")


command = Command(
    "write tables and figures, from the store alone",
    add_arguments,
    act,
    ("digits --out report", "digits --allow-partial"),
)
