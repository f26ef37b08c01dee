"""`ensembudget init`: looks at images and proposes a study for a budget."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OutputError, reason, visible
from .parser import Command, Parser

if TYPE_CHECKING:
    from ..datasets._look import Look

LONGEST = 60  # characters of a class's name
SHOWN = 20  # classes that are listed one by one

TIME = "7min"  # with a look at the images, a report and an export about ten minutes in all


def add_arguments(parser: Parser) -> None:
    about = "see ls datasets; folder:DIR and parquet:DIR read your own"
    parser.add_argument("dataset", metavar="DATASET", help=about)
    about = "the most that all members together may cost, like 2MB, 250k or 5MFLOP"
    parser.add_argument("--budget", required=True, help=about)
    parser.add_argument("--out", metavar="STUDY.toml", required=True, help="the file to write")
    about = f"how long training may take on this machine, like 30min or 2h (default: {TIME})"
    parser.add_argument("--time", default=TIME, metavar="DURATION", help=about)


def act(args: argparse.Namespace) -> int:
    from ..budgets._parse import parse_budget
    from ..datasets._look import look
    from ..files import write_whole
    from ..planning.proposal import concerns
    from ..verbs.propose import propose
    from .layouts import SPLITS, timed
    from .show import duration, print_rows
    from .timing import time_told, trials_said
    from .values import seconds_of

    out, seconds = Path(args.out), seconds_of(args.time, "--time")
    _refuse(out)
    parse_budget(args.budget)  # before all images are looked at
    found = look(args.dataset)
    print(*map(visible, described(found)), sep="\n")
    for line in concerns(found):
        print(f"- {visible(line)}")
    made = propose(found, args.budget, out, seconds=seconds, on_trial=trials_said("init"))
    try:
        write_whole(out, made.text)
    except OSError as error:
        raise OutputError(f"--out {str(out)!r} cannot be written: {reason(error)}.") from None
    print()
    splits = timed(made.estimate.splits) if made.estimate else SPLITS
    print_rows(splits, splits.rows(made.plan.splits))
    print(f"{out} trains {len(made.plan.runs)} members. {time_told(made.estimate, made.arrangement)}")
    if made.estimate and made.estimate.whole > seconds:
        print(f"That is longer than {duration(seconds)}, and is the least that is proposed for this budget.")
    print(f"Next: ensembudget run {out}")
    return 0


def _refuse(out: Path) -> None:
    """Refuses to overwrite a file: it may have been edited."""
    try:
        if out.exists():
            raise OutputError(f"--out {str(out)!r} already exists. Remove it, or name another file.")
    except OSError as error:
        raise OutputError(f"--out {str(out)!r} cannot be written: {reason(error)}.") from None


def described(found: "Look") -> Iterator[str]:
    """What a dataset holds, one fact per line."""
    train, test = found.counts["train"], found.counts["test"]
    yield (
        f"{found.spec}: {found.files:,} images, {sum(train):,} to train on and {sum(test):,} to test on, of"
        f" {len(found.classes)} classes."
    )
    longest = min(LONGEST, max(map(len, found.classes)))
    for name, trained, tested in list(zip(found.classes, train, test, strict=True))[:SHOWN]:
        yield f"  {name[:LONGEST]:{longest}}  {trained:>7,} + {tested:,}"
    if len(found.classes) > SHOWN:
        yield f"  and {len(found.classes) - SHOWN} more: {min(train):,} to {max(train):,} to train on"
    yield f"Pixels: {_counted({f'{width}x{height}': n for (width, height), n in found.sizes.items()})}."
    yield f"Stored as: {_counted(found.modes)}."


def _counted(numbers: dict[str, int], most: int = 4) -> str:
    """The most common value, and the number of images that have it."""
    ranked = sorted(numbers.items(), key=lambda item: -item[1])
    said = ", ".join(f"{name} ({count:,})" for name, count in ranked[:most])
    return f"{said} and {len(ranked) - most:,} others" if len(ranked) > most else said


command = Command(
    "look at images and propose a study for a budget",
    add_arguments,
    act,
    ("folder:birds --budget 2MB --out birds.toml", "cifar10 --budget 250k --out cifar.toml --time 2h"),
)
