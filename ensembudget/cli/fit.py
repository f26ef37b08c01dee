"""`ensembudget fit`: fits a law to the points of a CSV."""

import argparse
import json
from typing import TYPE_CHECKING

from ..errors import ArgumentError
from .parser import FORMATS, Command, Parser, add_format

if TYPE_CHECKING:
    from ..arrays import Array

MEMBERS = ("members", "n")  # columns along which points are taken to share members
SHARED = (
    "ensembles of several sizes from one pool share members, and these points do not say how their errors"
    " covary. Use --independent if each point has its own members; a study's report has the covariance"
)


def add_arguments(parser: Parser) -> None:
    parser.add_argument("points", metavar="POINTS.csv", help="a CSV with a header")
    parser.add_argument(
        "--x", required=True, metavar="COLUMN", help="the column that the law is a function of"
    )
    parser.add_argument("--y", required=True, metavar="COLUMN", help="the column that the law predicts")
    parser.add_argument("--law", default="power_law", help="see ls laws (default: power_law)")
    parser.add_argument("--objective", help="what is minimised (default: the law's own)")
    parser.add_argument(
        "--stderr", metavar="COLUMN", help="the standard error of each y (default: from the scatter)"
    )
    parser.add_argument(
        "--independent",
        action="store_true",
        help="the points' errors are independent, so a law along members gets intervals too",
    )
    add_format(parser, *FORMATS)


def act(args: argparse.Namespace) -> int:
    from ..catalog import LAWS
    from ..laws._fit import fit_points
    from ..tables import fits
    from .show import print_rows
    from .values import csv_columns

    shared = args.x in MEMBERS and not args.independent
    x, y, *errors = csv_columns(args.points, args.x, args.y, *([args.stderr] if args.stderr else []))
    LAWS[args.law]
    fitted = fit_points(
        x,
        y,
        args.law,
        args.objective,
        covariance=_diagonal(errors[0], args) if errors and not shared else None,
        unknown=SHARED if shared else "",
    )
    if args.format == "json":
        print(json.dumps(fitted.model_dump(mode="json"), indent=1))
        return 0
    rows = fits.table.rows([fits.FittedColumns(args.x, args.y, fitted)])
    print_rows(fits.table, rows, args.format, args.columns)
    if args.format == "csv":
        return 0
    if not fitted.reach:
        print(f"No law: {fitted.status}.")
    elif fitted.no_interval:
        print(f"No intervals: {fitted.no_interval}.")
    return 0


def _diagonal(errors: "Array", args: argparse.Namespace) -> "Array":
    import numpy as np

    wrong = np.flatnonzero(~(np.isfinite(errors) & (errors > 0)))
    if len(wrong):
        raise ArgumentError(
            f"--stderr {args.stderr!r} of point {wrong[0]} is {errors[wrong[0]]}; it must be above 0."
        )
    found: Array = np.diag(errors**2)
    return found


command = Command(
    "fit a law to the points of a CSV",
    add_arguments,
    act,
    ("points.csv --x members --y cnll --independent", "points.csv --x width --y cnll --format json"),
)
