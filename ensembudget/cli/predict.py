"""`ensembudget predict`: the best split of a budget, from a few small members."""

import argparse
import json

from .parser import Command, Parser, add_format


def add_arguments(parser: Parser) -> None:
    about = "a study, or members,width,parameters,cnll"
    parser.add_argument("source", metavar="STUDY|PLANE.csv", help=about)
    parser.add_argument("--budget", required=True, help="like 36.8M, 250k; several with commas")
    parser.add_argument("--members", help="ensemble sizes (default: powers of two)")
    parser.add_argument("--arm", help="which, where there are several")
    parser.add_argument("--store", help="a study's (default: $ENSEMBUDGET_STORE, else store)")
    parser.add_argument("--out", help="a folder for the table in every format and the figure")
    add_format(parser, "table", "csv", "json")


def act(args: argparse.Namespace) -> int:
    from .. import studies
    from ..prediction.law import fit_plane
    from ..prediction.plane import read_plane
    from ..rendering.figures import predictions_figure
    from ..rendering.write import open_folder, write_figure, write_rows
    from ..tables import predictions
    from ..verbs.plan import stored_plan
    from ..verbs.predict import plane_budget, predict, study_budget, study_plane
    from .show import print_rows
    from .values import existing_store, whole_numbers

    members = None if args.members is None else whole_numbers(args.members, "--members")
    written = args.budget.split(",")
    if args.source.endswith(".csv"):
        plane = read_plane(args.source, args.arm)
        budgets = [plane_budget(plane, one, members) for one in written]
    else:
        study, store = studies.load_study(args.source), existing_store(args)
        plane, arm = study_plane(stored_plan(study, store), store, args.arm)
        budgets = [study_budget(study, plane, one, arm, members) for one in written]
    folder = open_folder(args.out) if args.out else None
    posterior = fit_plane(plane)
    found = predict(posterior, budgets)
    rows, said = predictions.rows(found), [*predictions.verdicts(found), predictions.law_note(posterior)]
    if folder:
        write_rows(folder, predictions.table, rows, said)
        write_figure(folder, "predictions", predictions_figure(rows, plane.measured))
    if args.format == "json":
        print(json.dumps([one.model_dump(mode="json") for one in found], indent=1))
        return 0
    print_rows(predictions.table, rows, args.format)
    if args.format == "table":
        print(*said, sep="\n")
    return 0


command = Command(
    "the best split of a budget and its CNLL, from a few small members",
    add_arguments,
    act,
    ("digits --budget 250k,500k", "plane.csv --budget 15.3M --format json"),
)
