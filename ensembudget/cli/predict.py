"""`ensembudget predict`: the best split of a budget, from a few small members."""

import argparse
import json
from typing import TYPE_CHECKING

from .parser import Command, Parser, add_format

if TYPE_CHECKING:
    from ..prediction.plane import Plane


def add_arguments(parser: Parser) -> None:
    about = "a study, or a CSV with columns members,width,parameters,cnll[,stderr]"
    parser.add_argument("source", metavar="STUDY|PLANE.csv", help=about)
    parser.add_argument("--budget", required=True, help="like 36.8M or 250k; separate several by commas")
    parser.add_argument("--members", help="ensemble sizes (default: powers of two)")
    parser.add_argument("--arm", help="which arm, if there are several")
    about = "standard error of every CNLL, in nats, for a PLANE.csv without a column stderr, like 0.005"
    parser.add_argument("--stderr", type=float, help=about)
    parser.add_argument("--store", help="the study's store (default: $ENSEMBUDGET_STORE, else store)")
    parser.add_argument("--out", help="a folder for the table in every format and the figure")
    add_format(parser, "table", "csv", "json")


def act(args: argparse.Namespace) -> int:
    from ..figures._style import styled
    from ..figures.predictions import Predicted, figure
    from ..prediction.budgets import plane_budget
    from ..prediction.law import fit_plane
    from ..prediction.predict import predict
    from ..rendering.write import open_folder, write_figure, write_rows
    from ..tables.predictions import law_note, table, verdicts
    from .show import print_lines, print_rows
    from .values import whole_numbers

    members = None if args.members is None else whole_numbers(args.members, "--members")
    plane = _plane(args)
    budgets = [plane_budget(plane, one, members) for one in args.budget.split(",")]
    folder = open_folder(args.out) if args.out else None
    posterior = fit_plane(plane)
    found = predict(posterior, budgets)
    rows, said = table.rows(found), [*verdicts(found), law_note(posterior)]
    if folder:
        write_rows(folder, table, rows, said)
        if drawn := styled(figure, Predicted(found, plane.measured)):
            write_figure(folder, "predictions", drawn)
    if args.format == "json":
        print(json.dumps([one.model_dump(mode="json") for one in found], indent=1))
        return 0
    print_rows(table, rows, args.format, args.columns)
    if args.format == "table":
        print_lines(said)
    return 0


def _plane(args: argparse.Namespace) -> "Plane":
    """The plane of a file, or of a study's members in its store."""
    from ..errors import ArgumentError
    from ..prediction.read import read_plane
    from ..studies import load_study
    from ..verbs.plan import stored_plan
    from ..verbs.predict import study_plane
    from .values import existing_store

    if args.source.endswith(".csv"):
        return read_plane(args.source, args.arm, stderr=args.stderr)
    if args.stderr is not None:
        raise ArgumentError(
            f"--stderr {args.stderr:g}: study {args.source!r} has members that show how well it is known."
        )
    study, store = load_study(args.source), existing_store(args)
    return study_plane(stored_plan(study, store), store, args.arm)


command = Command(
    "predict the best split of a budget and its CNLL from a few small members",
    add_arguments,
    act,
    ("digits --budget 250k,500k", "plane.csv --budget 15.3M --stderr 0.005 --format json"),
)
