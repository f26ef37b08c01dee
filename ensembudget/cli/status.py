"""`ensembudget status`: planned, done, diverged, failed, and the time left."""

import argparse

from .parser import Command, Parser, add_study


def add_arguments(parser: Parser) -> None:
    add_study(parser)


def act(args: argparse.Namespace) -> int:
    from .. import studies
    from ..verbs.plan import stored_plan
    from ..verbs.status import seconds_left, status
    from .layouts import STATUS
    from .show import duration, print_rows
    from .tuning import print_tuning
    from .values import existing_store

    study, store = studies.load_study(args.study), existing_store(args)
    planned = stored_plan(study, store)
    rows = status(planned, store)
    print_rows(STATUS, STATUS.rows(rows))
    if planned.tuning:
        print_tuning(planned, store)
    for reason in sorted({reason for row in rows for reason in row.reasons}):
        print(f"failed: {reason}")
    left, missing = seconds_left(rows), sum(row.missing for row in rows)
    when = "unknown, nothing is trained yet" if left is None else f"about {duration(left)} one after another"
    also = " Tuning and tuned pools are not among them." if planned.pending else ""
    said = f"{missing} of {len(planned.runs)} members to train; time left: {when if missing else 'none'}."
    print(said + also)
    return 0


command = Command(
    "count the members that are done, diverged, failed and missing, and estimate the time left",
    add_arguments,
    act,
    ("digits", "my_study.toml --store results"),
)
