"""`ensembudget run`: trains what is missing of a study."""

import argparse
from typing import TYPE_CHECKING

from ..errors import ArgumentError
from . import training
from .parser import FORMATS, Command, Parser, add_format
from .training import TrainingOptions, asked, say_outcomes
from .voice import say

if TYPE_CHECKING:
    from ..records import Plan
    from ..stepping.arrange import Arrangement
    from ..store import Store
    from ..tables._base import Row
    from ..verbs.estimate import Estimate


def add_arguments(parser: Parser) -> None:
    training.add_arguments(parser)
    add_format(parser, *FORMATS)


def act(args: argparse.Namespace) -> int:
    from ..store import Store
    from ..verbs.plan import plan_study
    from ..verbs.run import arrange
    from .tuning import tune_shown
    from .values import store_path, study_of

    if args.format != "table" and not args.dry_run:
        raise ArgumentError(
            f"--format {args.format} is for --dry-run, for a run prints no table. Add --dry-run, or run it"
            " and then `report`."
        )
    study, store, how = study_of(args), Store(store_path(args)), asked(args)
    planned = plan_study(study, store)
    # Every fault of the request, before a store is made.
    arrangement = arrange(planned, store, **how, measure=not args.dry_run)
    if args.dry_run:
        show(planned, store, arrangement, how, args.format, args.columns)
        return 0
    if planned.pending:
        if failed := tune_shown(planned, store, how):
            return failed
        planned = plan_study(study, store)
        arrangement = arrange(planned, store, **how)
    return train(planned, store, arrangement, how["executor"])


def show(
    planned: "Plan", store: "Store", arrangement: "Arrangement", how: TrainingOptions, kind: str, columns: str
) -> None:
    """What would be trained, how, and at what cost; kind and columns as in `print_rows`."""
    from ..planning.length import few_members, few_steps
    from ..rendering import steppings
    from ..tables._wording import samples_of, worded_table
    from ..verbs.estimate import estimate
    from .layouts import SPLITS, WORK, timed
    from .show import print_rows, print_tables
    from .timing import time_told, trials_said
    from .tuning import print_tuning

    found = estimate(
        planned,
        store,
        arrangement,
        executor=how["executor"],
        stepping=how["stepping"],
        on_trial=trials_said(planned.study.name),
    )
    samples = samples_of(planned)
    splits = worded_table(timed(found.splits) if found else SPLITS, samples)
    stepped = worded_table(steppings.table, samples)
    if kind != "table":
        rows, work = steppings.rows(planned, arrangement), work_of(planned, store, found)
        print_tables([(splits, splits.rows(planned.splits)), (stepped, rows), (WORK, [work])], kind)
        return
    print_rows(splits, splits.rows(planned.splits), columns=columns)
    if arrangement.chosen:
        print_rows(stepped, steppings.rows(planned, arrangement), columns=columns)
    if planned.tuning:
        print_tuning(planned, store, columns=columns)
    for line in [*planned.notes, *few_members(planned), *few_steps(planned)]:
        print(line)
    print(f"{_said(work_of(planned, store, found))}. {time_told(found, arrangement)} Nothing was trained.")


def work_of(planned: "Plan", store: "Store", found: "Estimate | None") -> "Row":
    """What a run would do, in numbers: members, operations, and seconds where they are known."""
    from ..verbs.missing import lacking, training_plan
    from ..verbs.probing import probe_status

    training, here = training_plan(planned, store), lacking(planned, store)
    to_train = here if training is planned else lacking(training, store)
    return {
        "planned": planned.members,
        "stored": planned.members - sum(one.missing + one.again for one in here),
        "to_train": sum(one.missing + one.again for one in to_train),
        "again": sum(one.again for one in to_train),
        "to_round": sum(one.missing + one.again for one in here if not one.pool.cell.is_trained),
        "to_probe": probe_status(planned, store).missing,
        "flops": float(sum((one.missing + one.again) * one.pool.training_flops for one in to_train)),
        "seconds": found.whole if found else None,
    }


def _said(work: "Row") -> str:
    again, rounded, probes = work["again"], work["to_round"], work["to_probe"]
    return (
        f"{work['planned']} members planned, {work['stored']} in the store, {work['to_train']} to train:"
        f" {work['flops']:.3g} FLOP"
        + (
            f" ({again} of them again, as they were before, because their weights were not kept)"
            if again
            else ""
        )
        + (f", and {rounded} to round from trained ones" if rounded else "")
        + (f", and {probes} more {'probe' if probes == 1 else 'probes'} to measure" if probes else "")
    )


def train(planned: "Plan", store: "Store", arrangement: "Arrangement", executor: str) -> int:
    """Trains with progress shown, says how it ended, and returns the exit code."""
    from ..planning.length import few_steps
    from ..verbs.missing import lacking, training_plan
    from ..verbs.probing import probe_status
    from ..verbs.run import probe, run
    from .progress import shown

    name = planned.study.name
    for line in [*planned.notes, *few_steps(planned)]:
        say(f"{name}: {line}")
    if again := sum(one.again for one in lacking(training_plan(planned, store), store)):
        say(f"{name}: {again} members are trained again, because their weights were not kept.")
    with shown(name) as on_progress:
        outcomes = run(planned, store, executor=executor, arrangement=arrangement, on_progress=on_progress)
    failed = say_outcomes(name, outcomes, f" {planned.members} planned.")
    if not planned.study.probes:
        return failed
    workers, device = arrangement.place.workers, arrangement.place.device
    with shown(name, "probes") as show:
        outcomes = probe(planned, store, executor=executor, workers=workers, device=device, on_progress=show)
    also = f" {probe_status(planned, store).planned} planned."
    return say_outcomes(name, outcomes, also, "probes") or failed


command = Command(
    "train the members that a study lacks; rerun to resume",
    add_arguments,
    act,
    ("digits", "my_study.toml --store results --workers 4", "digits --dry-run"),
)
