"""`ensembudget tune`: chooses the fields that a study tunes, and trains no other members."""

import argparse

from . import training
from .parser import FORMATS, Command, Parser, add_format


def add_arguments(parser: Parser) -> None:
    training.add_arguments(parser)
    add_format(parser, *FORMATS)


def act(args: argparse.Namespace) -> int:
    from ..errors import StudyError
    from ..store import Store
    from ..tables import tuning
    from ..tables._wording import samples_of, worded, worded_table
    from ..verbs.plan import plan_study
    from .show import print_lines, print_rows
    from .tuning import print_tuning, tune_shown
    from .values import store_path, study_of

    study, store, how = study_of(args), Store(store_path(args)), training.asked(args)
    if study.tune is None:
        raise StudyError(
            f"study {study.name!r} has no [tune] table, so there is nothing to choose. Give it one:"
            " tune.values lists recipe fields, and the values to try."
        )
    planned = plan_study(study, store)
    if args.dry_run:
        print_tuning(planned, store, args.format, args.columns)
        if args.format == "table":
            print("Nothing was trained.")
        return 0
    failed = tune_shown(planned, store, how)
    planned = plan_study(study, store)
    table = worded_table(tuning.table, samples_of(planned))
    rows = table.rows(planned)
    if args.format != "table":
        print_rows(table, rows, args.format)
    elif rows:
        print_rows(table, rows, columns=args.columns)
        print_lines([worded(note, samples_of(planned)) for note in tuning.notes(planned)])
    return failed


command = Command(
    "choose the recipe fields that a study tunes, on validation samples (a part of run)",
    add_arguments,
    act,
    ("digits_tuned", "digits_tuned --dry-run"),
)
