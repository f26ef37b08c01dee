"""`ensembudget status`: planned, done, diverged, failed, and the time left."""

import argparse

from ..errors import visible
from .parser import FORMATS, Command, Parser, add_format, add_study


def add_arguments(parser: Parser) -> None:
    add_study(parser)
    add_format(parser, *FORMATS)


def act(args: argparse.Namespace) -> int:
    from ..verbs.missing import training_plan
    from ..verbs.plan import stored_plan
    from ..verbs.probing import probe_status
    from ..verbs.status import seconds_left, status
    from ..verbs.tune import tuning_status
    from .layouts import STATUS, TUNING
    from .show import duration, print_rows, print_tables
    from .tuning import print_tuning
    from .values import existing_store, study_of

    study, store = study_of(args), existing_store(args)
    planned = stored_plan(study, store)
    rows = status(planned, store)
    if args.format != "table":
        tuning = tuning_status(planned, store) if planned.tuning else []
        print_tables([(STATUS, STATUS.rows(rows)), (TUNING, TUNING.rows(tuning))], args.format)
        return 0
    print_rows(STATUS, STATUS.rows(rows), columns=args.columns)
    if planned.tuning:
        print_tuning(planned, store, columns=args.columns)
    logs = {reason: log for row in rows for reason, log in row.logs.items()}
    for reason in sorted({reason for row in rows for reason in row.reasons}):
        print(f"failed: {visible(reason)}")
        for line in logs.get(reason, "").splitlines():
            print(f"    | {visible(line)}")
    left = seconds_left(status(training_plan(planned, store), store))
    missing = sum(row.missing for row in rows)
    when = "unknown, nothing is trained yet" if left is None else f"about {duration(left)} one after another"
    also = " Tuning and tuned pools are not among them." if planned.pending else ""
    said = f"{missing} of {len(planned.runs)} members to train; time left: {when if missing else 'none'}."
    print(said + also)
    if planned.study.probes:
        probing = probe_status(planned, store)
        print(f"{probing.missing} of {probing.planned} probes still to be measured.")
    return 0


command = Command(
    "count the members that are done, diverged, failed and missing, and estimate the time left",
    add_arguments,
    act,
    ("digits", "my_study.toml --store results"),
)
