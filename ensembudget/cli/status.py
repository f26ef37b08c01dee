"""`ensembudget status`: planned, done, diverged, failed, and the time left.

It reads the descriptions of members and not their logits, so it is quick on a large store; `report` checks
every byte.
"""

import argparse
from typing import TYPE_CHECKING

from ..errors import StoreError, visible
from .parser import FORMATS, Command, Parser, add_format, add_study

if TYPE_CHECKING:
    from ..verbs.status import CellStatus


def add_arguments(parser: Parser) -> None:
    add_study(parser)
    add_format(parser, *FORMATS)


def act(args: argparse.Namespace) -> int:
    from ..tables._wording import samples_of, worded_table
    from ..verbs.missing import training_plan
    from ..verbs.plan import plan_study
    from ..verbs.status import seconds_left, status
    from .layouts import STATUS, TUNING
    from .show import duration, print_rows, print_tables
    from .tuning import print_tuning
    from .values import existing_store, study_of

    study = study_of(args, checked=False)
    try:
        store = existing_store(args)
    except StoreError:
        study_of(args)  # what is wrong with the study comes first
        raise
    planned = store.saved_plan(study) or plan_study(study_of(args), store)
    rows = status(planned, store)
    members = worded_table(STATUS, samples_of(planned))
    if args.format != "table":
        tuning = []
        if planned.tuning:  # only then: it imports torch, as probes do
            from ..verbs.tuning_status import tuning_status

            tuning = tuning_status(planned, store)
        print_tables([(members, members.rows(rows)), (TUNING, TUNING.rows(tuning))], args.format)
        return 0
    print_rows(members, members.rows(rows), columns=args.columns)
    if planned.tuning:
        print_tuning(planned, store, columns=args.columns)
    _print_failures(rows)
    training = training_plan(planned, store)
    left = seconds_left(rows if training is planned else status(training, store))
    missing = sum(row.missing for row in rows)
    when = "unknown, nothing is trained yet" if left is None else f"about {duration(left)} one after another"
    also = " Tuning and tuned pools are not among them." if planned.pending else ""
    said = f"{missing} of {planned.members} members to train; time left: {when if missing else 'none'}."
    print(said + also)
    if planned.study.probes:
        from ..verbs.probing import probe_status

        probing = probe_status(planned, store)
        print(f"{probing.missing} of {probing.planned} probes still to be measured.")
    return 0


def _print_failures(rows: "list[CellStatus]") -> None:
    """Every reason once, with the end of its log."""
    logs = {reason: log for row in rows for reason, log in row.logs.items()}
    for reason in sorted({reason for row in rows for reason in row.reasons}):
        print(f"failed: {visible(reason)}")
        for line in logs.get(reason, "").splitlines():
            print(f"    | {visible(line)}")


command = Command(
    "count the members that are done, diverged, failed and missing, and estimate the time left (does not"
    " check stored logits for damage; `report` does)",
    add_arguments,
    act,
    ("digits", "my_study.toml --store results"),
)
