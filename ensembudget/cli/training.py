"""What `run`, `tune` and `search` share: how members are trained, and how that ended."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

from ..errors import ArgumentError, told, visible
from .parser import Parser, add_device, add_study
from .voice import say

if TYPE_CHECKING:
    from ..executors._base import Outcome
    from ..records import SteppingChoice


STATUSES = ("diverged", "failed", "kept", "conflict")  # of outcomes that are more than done


class TrainingOptions(TypedDict):
    """Where members are trained and how they are stepped, as `arrange` and `tune` take it."""

    executor: str
    workers: int | None
    threads: int | None
    device: str
    stepping: "SteppingChoice | None"


def add_arguments(
    parser: Parser, dry_run: str = "show what would be trained and how, and train nothing"
) -> None:
    add_study(parser)
    about = "see ls executors; options as in ray:gpus=0.25 (default: processes)"
    parser.add_argument("--executor", metavar="NAME[:OPTION=VALUE,...]", default="processes", help=about)
    about = "a running Ray cluster, for executor ray; short for ray:address=HOST:PORT"
    parser.add_argument("--address", metavar="HOST:PORT", help=about)
    parser.add_argument("--workers", type=int, help="jobs that run at once (default: the executor's)")
    parser.add_argument("--threads", type=int, help="threads of each job (default: autotuned)")
    add_device(parser)
    about = "how members are stepped, such as pack=8,compiled=no (default: the study's, else autotuned)"
    parser.add_argument("--stepping", metavar="FIELD=VALUE,...", help=about)
    parser.add_argument("--dry-run", action="store_true", help=dry_run)


def asked(args: argparse.Namespace) -> TrainingOptions:
    from ..stepping.parse import parse_stepping

    return TrainingOptions(
        executor=_executor(args),
        workers=args.workers,
        threads=args.threads,
        device=args.device,
        stepping=None if args.stepping is None else parse_stepping(args.stepping),
    )


def _executor(args: argparse.Namespace) -> str:
    """The executor from the command line, with --address put into its options."""
    name, _, options = args.executor.partition(":")
    if args.address is None:
        return str(args.executor)
    if name != "ray":
        raise ArgumentError(
            f"--address {told(args.address)} is a Ray cluster's, and the executor is {told(name)}. Add"
            " --executor ray, or leave --address out."
        )
    return f"ray:{','.join(filter(None, [f'address={args.address}', options]))}"


def say_outcomes(name: str, outcomes: "Sequence[Outcome]", also: str = "", things: str = "members") -> int:
    """Prints how training (or other jobs) ended and why some failed; returns the exit code."""
    by = {status: [one for one in outcomes if one.status == status] for status in STATUSES}
    diverged, failed, kept, conflicts = (len(by[status]) for status in STATUSES)
    others = sum(one.by_other for one in outcomes)
    done = f"{len(outcomes) - failed - kept - conflicts - others} {things} done now"
    say(
        f"{name}: {done if outcomes else 'nothing was missing'}"
        + (f", {others} by another run" if others else "")
        + (f", {diverged} of them diverged" if diverged else "")
        + (f"; {failed} failed" if failed else "")
        + (f"; {conflicts} in conflict with what is stored" if conflicts else "")
        + f".{also}"
    )
    for reason in sorted({one.reason or "" for one in by["failed"]}):
        same = sum(one.reason == reason for one in by["failed"])
        print(f"ensembudget: {same} failed: {visible(reason)}", file=sys.stderr)
    for note in sorted({one.note for one in outcomes if one.note}):
        print(f"ensembudget: {visible(note)}", file=sys.stderr)
    for one in by["conflict"]:
        print(f"ensembudget: conflict: {visible(one.reason or '')}", file=sys.stderr)
    if kept:
        first = visible(by["kept"][0].reason or "")
        say(
            f"{name}: {kept} {things} that were there were trained again with their packs, elsewhere or"
            f" stepped otherwise, and gave other logits. Those that were there stay. The first: {first}."
        )
    return 1 if failed or conflicts else 0
