"""`ensembudget run`: trains what is missing of a study."""

import argparse
import sys
from typing import TYPE_CHECKING

from .parser import Command
from .training import add_arguments, asked, say_outcomes

if TYPE_CHECKING:
    from ..records import Plan
    from ..stepping.arrange import Arrangement
    from ..store import Store


def act(args: argparse.Namespace) -> int:
    from .. import studies
    from ..store import Store
    from ..verbs.plan import plan_study
    from ..verbs.run import arrange
    from .tuning import tune_shown
    from .values import store_path

    study, store, how = studies.load_study(args.study), Store(store_path(args)), asked(args)
    planned = plan_study(study, store)
    # Every fault of the request, before a store is made.
    arrangement = arrange(planned, store, **how)
    if args.dry_run:
        show(planned, store, arrangement)
        return 0
    if planned.pending:
        if failed := tune_shown(planned, store, how):
            return failed
        planned = plan_study(study, store)
        arrangement = arrange(planned, store, **how)
    return train(planned, store, arrangement, args.executor)


def show(planned: "Plan", store: "Store", arrangement: "Arrangement") -> None:
    """What would be trained, how, and at what cost."""
    from ..planning.plan import few_members
    from ..rendering import steppings
    from ..verbs.missing import missing_runs, repeated_runs
    from ..verbs.status import seconds_left, status
    from .layouts import SPLITS
    from .show import duration, print_rows
    from .tuning import print_tuning

    runs, again = missing_runs(planned, store), len(repeated_runs(planned, store))
    print_rows(SPLITS, SPLITS.rows(planned.splits))
    if arrangement.chosen:
        print_rows(steppings.table, steppings.rows(planned.cells, arrangement))
    if planned.tuning:
        print_tuning(planned, store)
    for line in few_members(planned):
        print(line)
    left = seconds_left(status(planned, store))
    print(
        f"{len(planned.runs)} members planned, {len(planned.runs) - len(runs)} in the store,"
        f" {len(runs)} to train: {planned.training_flops(runs):.3g} FLOP"
        + (
            f" ({again} of them again, as they were before, because their weights were not kept)"
            if again
            else ""
        )
        + (f", about {duration(left)} one after another" if left is not None else "")
        + ". Nothing was trained."
    )


def train(planned: "Plan", store: "Store", arrangement: "Arrangement", executor: str) -> int:
    """Trains with progress shown, says how it ended, and returns the exit code."""
    from ..verbs.missing import repeated_runs
    from ..verbs.run import run
    from .progress import shown

    name = planned.study.name
    if again := len(repeated_runs(planned, store)):
        print(
            f"{name}: {again} members are trained again, because their weights were not kept.",
            file=sys.stderr,
        )
    with shown(name) as on_progress:
        outcomes = run(planned, store, executor=executor, arrangement=arrangement, on_progress=on_progress)
    return say_outcomes(name, outcomes, f" {len(planned.runs)} planned.")


command = Command(
    "train the members that a study lacks; rerun to resume",
    add_arguments,
    act,
    ("digits", "my_study.toml --store results --workers 4", "digits --dry-run"),
)
