"""`ensembudget report`: tables and figures from the store alone."""

import argparse
from pathlib import Path

from .parser import Command, Parser, add_study


def add_arguments(parser: Parser) -> None:
    add_study(parser)
    parser.add_argument("--out", help="a folder (default: report/NAME)")
    about = "report the members there are, marked as partial"
    parser.add_argument("--allow-partial", action="store_true", help=about)
    parser.add_argument("--costs", help="CSV of measured costs, as `pytest benchmarks` writes it")


def act(args: argparse.Namespace) -> int:
    from .. import studies
    from ..verbs.plan import stored_plan
    from .show import print_report
    from .values import existing_store

    study, store = studies.load_study(args.study), existing_store(args)
    planned = stored_plan(study, store)
    out = Path(args.out) if args.out else Path("report") / study.name
    print_report(planned, store, out, args.costs, allow_partial=args.allow_partial)
    return 0


command = Command(
    "tables and figures, from the store alone",
    add_arguments,
    act,
    ("digits --out report", "digits --allow-partial"),
)
