"""`ensembudget report`: tables and figures from the store alone."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .parser import FORMATS, Command, Parser, add_format, add_study

if TYPE_CHECKING:
    from ..records import Plan
    from ..store import Store


def add_arguments(parser: Parser) -> None:
    add_study(parser)
    parser.add_argument("--out", help="a folder for tables and figures (default: report/NAME)")
    about = "report an incomplete study, marked as partial"
    parser.add_argument("--allow-partial", action="store_true", help=about)
    parser.add_argument("--costs", help="a CSV of measured costs, as `pytest benchmarks` writes it")
    add_format(parser, *FORMATS)


def act(args: argparse.Namespace) -> int:
    from ..verbs.plan import stored_plan
    from .values import existing_store, study_of

    study, store = study_of(args), existing_store(args)
    planned = stored_plan(study, store)
    out = Path(args.out) if args.out else Path("report") / study.name
    print_report(
        planned, store, out, args.costs,
        columns=args.columns, allow_partial=args.allow_partial, kind=args.format,
    )  # fmt: skip
    return 0


def print_report(
    planned: "Plan",
    store: "Store",
    out: Path,
    costs: str | None,
    *,
    columns: str,
    allow_partial: bool = False,
    kind: str = "table",
) -> None:
    """Writes a report, prints its tables, and ends with the answer in one sentence."""
    from ..rendering.notes import result_notes
    from ..rendering.render import from_csv
    from ..tables._answer import answer
    from ..verbs.analyse import analyse
    from ..verbs.evaluate import evaluate
    from ..verbs.report import report
    from .show import print_lines, print_rows, print_tables
    from .values import read_costs

    results = evaluate(planned, store, allow_partial=allow_partial)
    analysis = analyse(results, read_costs(costs) if costs else None)
    written, said = report(analysis, out), ""
    if kind != "table":
        print_tables([(one, from_csv((out / f"{one.name}.csv").read_text())) for one in written], kind)
        return
    for table in written:
        # What is printed is what was written.
        rows = from_csv((out / f"{table.name}.csv").read_text())
        print_rows(table, rows, columns=columns)
        if notes := table.notes(analysis):
            print_lines([*notes, ""])
        if table.name == "memory_split":
            said = answer(rows)
    if notes := result_notes(results) if results.partial or planned.study.first_look else planned.notes:
        print_lines([*notes, ""])
    print_lines([f"Tables, figures and manifest are in {out}; index.html there has them all on one page."])
    if said:
        print_lines([said])


command = Command(
    "write tables and figures of a study from its store",
    add_arguments,
    act,
    ("digits --out report", "digits --allow-partial"),
)
