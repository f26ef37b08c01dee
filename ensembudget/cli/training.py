"""What `run`, `tune` and `search` share: how members are trained, and how that ended."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

from ..errors import visible
from .parser import Parser, add_device, add_study
from .voice import say

if TYPE_CHECKING:
    from ..executors._base import Outcome
    from ..records import SteppingChoice


class Asked(TypedDict):
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
    about = "see ls executors; with options as in ray:gpus=0.25 (default: processes)"
    parser.add_argument("--executor", metavar="NAME[:OPTION=VALUE,...]", default="processes", help=about)
    parser.add_argument("--workers", type=int, help="jobs that run at once (default: the executor's)")
    parser.add_argument("--threads", type=int, help="threads of each job (default: autotuned)")
    add_device(parser)
    about = "how members are stepped, such as pack=8,compiled=no (default: the study's, else autotuned)"
    parser.add_argument("--stepping", metavar="FIELD=VALUE,...", help=about)
    parser.add_argument("--dry-run", action="store_true", help=dry_run)


def asked(args: argparse.Namespace) -> Asked:
    from ..stepping.parse import parse_stepping

    return Asked(
        executor=args.executor,
        workers=args.workers,
        threads=args.threads,
        device=args.device,
        stepping=None if args.stepping is None else parse_stepping(args.stepping),
    )


def say_outcomes(name: str, outcomes: "Sequence[Outcome]", also: str = "", things: str = "members") -> int:
    """Says how training ended, or other things that were done, and why some failed; returns the exit code."""
    failed = [one for one in outcomes if one.status == "failed"]
    diverged = sum(one.status == "diverged" for one in outcomes)
    done = f"{len(outcomes) - len(failed)} {things} done now" if outcomes else "nothing was missing"
    say(
        f"{name}: {done}"
        + (f", {diverged} of them diverged" if diverged else "")
        + (f"; {len(failed)} failed" if failed else "")
        + f".{also}"
    )
    for reason in sorted({one.reason or "" for one in failed}):
        print(
            f"ensembudget: {sum(one.reason == reason for one in failed)} failed: {visible(reason)}",
            file=sys.stderr,
        )
    return 1 if failed else 0
