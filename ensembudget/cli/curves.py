"""`ensembudget curves`: learning curves that rank models from few training images."""

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ArgumentError
from .parser import Command, Parser, add_format, add_store

if TYPE_CHECKING:
    from pathlib import Path

    from ..analysis.learning_curves import LearningCurves
    from ..tables._base import Row, Table


class Shown(NamedTuple):
    """Tables with their rows, and what is said below them."""

    tables: "list[tuple[Table, list[Row]]]"
    said: list[str]


def add_arguments(parser: Parser) -> None:
    from ..tables._curves import HEADINGS

    parser.add_argument(
        "studies", metavar="STUDY", nargs="+", help="studies of one dataset, at several train sizes"
    )
    add_store(parser)
    about = "forecast: which model will be best at so many training images, like 50k"
    parser.add_argument("--at", metavar="N", help=about)
    about = "fit sizes up to this one, and judge at the largest (default: an eighth of the largest)"
    parser.add_argument("--from-at-most", metavar="N", help=about)
    parser.add_argument("--metric", choices=tuple(HEADINGS), default="cnll", help="default: cnll")
    parser.add_argument("--out", help="a folder for the tables in every format and the figure")
    add_format(parser, "table", "csv", "json")


def act(args: argparse.Namespace) -> int:
    from ..rendering.write import open_folder
    from .show import print_lines, print_rows
    from .values import image_count

    if args.at is not None and args.from_at_most is not None:
        raise ArgumentError(
            f"--at {args.at} fits all sizes, and --from-at-most {args.from_at_most} judges what some of them"
            " say. Give one of them."
        )
    at = None if args.at is None else image_count(args.at, "--at")
    limit = None if args.from_at_most is None else image_count(args.from_at_most, "--from-at-most")
    curves, partial = _curves(args)
    folder = open_folder(args.out) if args.out else None
    shown = _judged(curves, limit, folder, partial) if at is None else _forecast(curves, at, folder, partial)
    if args.format == "json":
        print(json.dumps({table.name: rows for table, rows in shown.tables}, indent=1))
        return 0
    if args.format == "csv":
        print_rows(*shown.tables[0], "csv")
        return 0
    for table, rows in shown.tables:
        if rows:
            print_rows(table, rows, columns=args.columns)
    print_lines([*shown.said, *partial])
    return 0


def _curves(args: argparse.Namespace) -> "tuple[LearningCurves, list[str]]":
    """The curves of the studies, and what is missing of them."""
    from ..studies import load_study
    from ..verbs.curves import missing_of, study_curves
    from ..verbs.plan import stored_plan
    from .values import existing_store

    found, store = [load_study(one) for one in dict.fromkeys(args.studies)], existing_store(args)
    plans = [stored_plan(study, store) for study in found]
    return study_curves(plans, store, args.metric), missing_of(plans, store)


def _judged(
    curves: "LearningCurves", limit: int | None, folder: "Path | None", partial: Sequence[str]
) -> Shown:
    """What few images say of the largest size; `partial` says which studies lack members."""
    from ..analysis.curve_ranks import judged_ranks
    from ..figures._style import styled, watermark
    from ..figures.learning_curves import figure
    from ..rendering.write import write_figure, write_table
    from ..tables import curve_ranking, learning_curves
    from ..tables._base import PARTIAL, marked_partial
    from ..verbs.curves import JudgedStudies

    subject = JudgedStudies((judged_ranks(curves, limit),))
    tables = [learning_curves.table, curve_ranking.table]
    if partial:
        tables = [marked_partial(table) for table in tables]
    if folder:
        for table in tables:
            write_table(folder, table, subject, partial)
        if drawn := styled(figure, subject):
            if partial:
                watermark(drawn, PARTIAL)
            write_figure(folder, "learning_curves", drawn)
    said = [line for table in tables for line in table.notes(subject)]
    return Shown([(table, table.rows(subject)) for table in tables], said)


def _forecast(curves: "LearningCurves", at: int, folder: "Path | None", partial: Sequence[str]) -> Shown:
    """What is expected at more images than were measured; `partial` as in `_judged`."""
    from ..analysis.curve_forecasts import forecast
    from ..rendering.write import write_rows
    from ..tables._base import marked_partial
    from ..tables.curve_forecasts import table, verdicts

    found, shown = forecast(curves, at), marked_partial(table) if partial else table
    rows, said = shown.rows([found]), verdicts(found)
    if folder:
        write_rows(folder, shown, rows, [*said, *partial])
    return Shown([(shown, rows)], said)


command = Command(
    "rank models by learning curves from few training images, or forecast the best at many",
    add_arguments,
    act,
    ("my_study.toml --from-at-most 1000", "wrn.toml vgg.toml --at 50k --metric error --format json"),
)
