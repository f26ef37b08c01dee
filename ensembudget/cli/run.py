"""`ensembudget run`: trains what is missing of a study."""

import argparse
import sys
from typing import TYPE_CHECKING

from .parser import Command, Parser, add_device, add_study

if TYPE_CHECKING:
    from ..records import Plan
    from ..stepping.arrange import Arrangement
    from ..store import Store


def add_arguments(parser: Parser) -> None:
    add_study(parser)
    parser.add_argument("--executor", default="processes", help="see ls executors (default: processes)")
    parser.add_argument("--workers", type=int, help="jobs that run at once (default: the executor's)")
    parser.add_argument("--threads", type=int, help="threads of each job (default: autotuned)")
    add_device(parser)
    about = "how members are stepped, such as pack=8,compiled=no (default: the study's, else autotuned)"
    parser.add_argument("--stepping", metavar="FIELD=VALUE,...", help=about)
    about = "show what would be trained and how, and train nothing"
    parser.add_argument("--dry-run", action="store_true", help=about)


def act(args: argparse.Namespace) -> int:
    from .. import studies
    from ..planning.plan import few_members
    from ..records import SteppingChoice
    from ..rendering import steppings
    from ..stepping.parse import parse_stepping
    from ..store import Store
    from ..verbs.missing import missing_runs, repeated_runs
    from ..verbs.plan import plan_study
    from ..verbs.run import arrange
    from ..verbs.status import seconds_left, status
    from .layouts import SPLITS
    from .show import duration, print_rows
    from .values import store_path

    planned, store = plan_study(studies.load_study(args.study)), Store(store_path(args))
    given = SteppingChoice() if args.stepping is None else parse_stepping(args.stepping)
    # Every fault of the request, before a store is made.
    arrangement = arrange(
        planned,
        store,
        executor=args.executor,
        workers=args.workers,
        threads=args.threads,
        device=args.device,
        stepping=given,
    )
    if not args.dry_run:
        return train(planned, store, arrangement, args.executor)
    runs, again = missing_runs(planned, store), len(repeated_runs(planned, store))
    print_rows(SPLITS, SPLITS.rows(planned.splits))
    if arrangement.chosen:
        print_rows(steppings.table, steppings.rows(planned.cells, arrangement))
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
    return 0


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
    failed = [one for one in outcomes if one.status == "failed"]
    diverged = sum(one.status == "diverged" for one in outcomes)
    done = f"{len(outcomes) - len(failed)} members done now" if outcomes else "nothing was missing"
    print(
        f"{name}: {done}"
        + (f", {diverged} of them diverged" if diverged else "")
        + (f"; {len(failed)} failed" if failed else "")
        + f". {len(planned.runs)} planned.",
        file=sys.stderr,
    )
    for reason in sorted({one.reason or "" for one in failed}):
        print(f"ensembudget: {sum(one.reason == reason for one in failed)} failed: {reason}", file=sys.stderr)
    return 1 if failed else 0


command = Command(
    "train the members that a study lacks; rerun to resume",
    add_arguments,
    act,
    ("digits", "my_study.toml --store results --workers 4", "digits --dry-run"),
)
