"""`ensembudget tune`: chooses the fields that a study tunes, and trains no other members."""

import argparse

from .parser import Command
from .training import add_arguments, asked


def act(args: argparse.Namespace) -> int:
    from .. import studies
    from ..errors import StudyError
    from ..rendering.render import render
    from ..store import Store
    from ..tables.tuning import notes, table
    from ..verbs.plan import plan_study
    from .tuning import print_tuning, tune_shown
    from .values import store_path

    study, store, how = studies.load_study(args.study), Store(store_path(args)), asked(args)
    if study.tune is None:
        raise StudyError(
            f"study {study.name!r} has no [tune] table, so there is nothing to choose. Give it one:"
            " tune.values lists recipe fields, and the values to try."
        )
    planned = plan_study(study, store)
    if args.dry_run:
        print_tuning(planned, store)
        print("Nothing was trained.")
        return 0
    failed = tune_shown(planned, store, how)
    planned = plan_study(study, store)
    if rows := table.rows(planned):
        print(render(table.short, rows, "txt"))
        print(*notes(planned), sep="\n")
    return failed


command = Command(
    "choose the recipe fields that a study tunes, on validation images (a part of run)",
    add_arguments,
    act,
    ("digits_tuned", "digits_tuned --dry-run"),
)
