"""`ensembudget curves`: learning curves that rank models from few training images."""

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ArgumentError, FitError
from .parser import Command, Parser, add_format, add_store

if TYPE_CHECKING:
    from pathlib import Path

    from ..analysis.learning_curves import LearningCurves
    from ..records import Plan
    from ..store import Store
    from ..tables._base import Row, Table


class Shown(NamedTuple):
    """Tables with their rows, and the notes below them."""

    tables: "list[tuple[Table, list[Row]]]"
    said: list[str]


def add_arguments(parser: Parser) -> None:
    from ..tables._curves import HEADINGS

    parser.add_argument(
        "studies", metavar="STUDY", nargs="+", help="studies of one dataset, at several train sizes"
    )
    add_store(parser)
    about = "forecast which model will be best with N training images, like 50k"
    parser.add_argument("--at", metavar="N", help=about)
    about = "fit sizes up to N, and check at the largest (default: an eighth of the largest)"
    parser.add_argument("--from-at-most", metavar="N", help=about)
    parser.add_argument("--metric", choices=tuple(HEADINGS), default="cnll", help="default: cnll")
    parser.add_argument("--out", help="a folder for the tables in every format and the figure")
    add_format(parser, "table", "csv", "json")


def act(args: argparse.Namespace) -> int:
    from ..rendering.write import open_folder
    from ..tables._wording import samples_of, worded
    from ..verbs.curves import missing_of, study_curves
    from .show import print_lines, print_rows
    from .values import image_count

    if args.at is not None and args.from_at_most is not None:
        raise ArgumentError(
            f"--at {args.at} fits all sizes, and --from-at-most {args.from_at_most} judges what some of them"
            " say. Give one of them."
        )
    at = None if args.at is None else image_count(args.at, "--at")
    limit = None if args.from_at_most is None else image_count(args.from_at_most, "--from-at-most")
    plans, store = _plans(args)
    samples = samples_of(plans[0])
    try:
        curves, partial = study_curves(plans, store, args.metric), missing_of(plans, store)
        folder = open_folder(args.out) if args.out else None
        shown = (
            _judged(curves, limit, folder, partial, samples)
            if at is None
            else _forecast(curves, at, folder, partial, samples)
        )
    except FitError as error:
        raise FitError(worded(str(error), samples)) from None
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


def _plans(args: argparse.Namespace) -> "tuple[list[Plan], Store]":
    """The plans of the studies, and the store of their members."""
    from ..studies import load_study
    from ..verbs.plan import stored_plan
    from .values import existing_store

    found, store = [load_study(one) for one in dict.fromkeys(args.studies)], existing_store(args)
    return [stored_plan(study, store) for study in found], store


def _judged(
    curves: "LearningCurves", limit: int | None, folder: "Path | None", partial: Sequence[str], samples: str
) -> Shown:
    """How well laws from few samples rank the models at the largest size.

    Args:
        curves: Of the studies.
        limit: The largest size that is fitted.
        folder: Where to write, if anywhere.
        partial: Which studies lack members.
        samples: What samples are called.
    """
    from ..analysis.curve_ranks import judged_ranks
    from ..figures._style import styled, watermark
    from ..figures.learning_curves import figure
    from ..rendering.write import write_figure, write_table
    from ..tables import curve_ranking, learning_curves
    from ..tables._base import PARTIAL, marked_partial
    from ..tables._wording import worded_table
    from ..verbs.curves import JudgedStudies
    from ..verbs.report import word_figure

    subject = JudgedStudies((judged_ranks(curves, limit),))
    tables = [worded_table(one, samples) for one in (learning_curves.table, curve_ranking.table)]
    if partial:
        tables = [marked_partial(table) for table in tables]
    if folder:
        for table in tables:
            write_table(folder, table, subject, partial)
        if drawn := styled(figure, subject):
            word_figure(drawn, samples)
            if partial:
                watermark(drawn, PARTIAL)
            write_figure(folder, "learning_curves", drawn)
    said = [line for table in tables for line in table.notes(subject)]
    return Shown([(table, table.rows(subject)) for table in tables], said)


def _forecast(
    curves: "LearningCurves", at: int, folder: "Path | None", partial: Sequence[str], samples: str
) -> Shown:
    """The expected ranking at more samples than were measured; arguments as for `_judged`."""
    from ..analysis.curve_forecasts import forecast
    from ..rendering.write import write_rows
    from ..tables._base import marked_partial
    from ..tables._wording import worded, worded_table
    from ..tables.curve_forecasts import table, verdicts

    found, shown = forecast(curves, at), worded_table(table, samples)
    shown = marked_partial(shown) if partial else shown
    rows, said = shown.rows([found]), [worded(line, samples) for line in verdicts(found)]
    if folder:
        write_rows(folder, shown, rows, [*said, *partial])
    return Shown([(shown, rows)], said)


command = Command(
    "rank models by learning curves from few training images, or forecast the best at many",
    add_arguments,
    act,
    ("my_study.toml --from-at-most 1000", "wrn.toml vgg.toml --at 50k --metric error --format json"),
)
