"""`ensembudget quickstart`: the whole flow on handwritten digits."""

import argparse

from .parser import Command, Parser, add_columns


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--out", default="quickstart", help="a folder for store/ and report/ (default: quickstart)"
    )
    add_columns(parser)


def act(args: argparse.Namespace) -> int:
    from .. import studies
    from ..rendering.write import open_folder
    from ..store import Store
    from ..verbs.plan import plan_study
    from ..verbs.run import arrange
    from .layouts import SPLITS
    from .report import print_report
    from .run import train
    from .show import print_rows

    out = open_folder(args.out)
    planned, store = plan_study(studies.load_study("digits")), Store(out / "store")
    print_rows(SPLITS, SPLITS.rows(planned.splits), columns=args.columns)
    failed = train(planned, store, arrange(planned, store), "processes")
    print_report(planned, store, out / "report", None, columns=args.columns)
    return failed


command = Command(
    "run the whole flow on handwritten digits (about a minute on two cores)",
    add_arguments,
    act,
    ("", "--out try"),
)
