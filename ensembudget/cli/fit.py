"""`ensembudget fit`: fits a law to the points of a CSV."""

import argparse
import json

from .parser import Command, Parser, add_format


def add_arguments(parser: Parser) -> None:
    parser.add_argument("points", metavar="POINTS.csv", help="a CSV with a header")
    parser.add_argument("--x", required=True, metavar="COLUMN", help="the column that the law runs along")
    parser.add_argument("--y", required=True, metavar="COLUMN", help="the column that falls")
    parser.add_argument("--law", default="power_law", help="see ls laws (default: power_law)")
    parser.add_argument("--objective", help="what is minimised (default: the law's own)")
    add_format(parser, "table", "json")


def act(args: argparse.Namespace) -> int:
    from ..catalog import LAWS
    from ..laws._fit import fit_points
    from ..rendering.render import render
    from ..tables import fits
    from .values import csv_columns

    x, y = csv_columns(args.points, args.x, args.y)
    LAWS[args.law]
    fitted = fit_points(x, y, args.law, args.objective)
    if args.format == "json":
        print(json.dumps(fitted.model_dump(mode="json"), indent=1))
        return 0
    rows = fits.table.rows([fits.FittedColumns(args.x, args.y, fitted)])
    print(render(fits.table, rows, "txt"))
    if fitted.status != "ok":
        print(f"No law: {fitted.status}.")
    return 0


command = Command(
    "fit a law to the points of a CSV",
    add_arguments,
    act,
    ("points.csv --x members --y cnll", "points.csv --x width --y cnll --format json"),
)
