"""`ensembudget search`: finds the best split of a budget, training only what that needs."""

import argparse
import json
import sys
from collections import Counter
from typing import TYPE_CHECKING

from ..errors import visible
from . import training
from .parser import FORMATS, Command, Parser, add_format
from .voice import say

if TYPE_CHECKING:
    from ..prediction.search import SearchState


def add_arguments(parser: Parser) -> None:
    from ..records.search import CONFIDENCE, TOLERANCE

    training.add_arguments(parser, dry_run="say what would be trained next, and train nothing")
    parser.add_argument("--budget", required=True, help="like 36.8M or 250k")
    about = (
        "how much to train at most: a share of the study's full grid for this budget, like 25%%, or 40TFLOP"
    )
    parser.add_argument("--spend", required=True, help=about)
    parser.add_argument("--arm", help="which arm, if there are several")
    about = f"a split this fraction above the lowest CNLL is as good as the best (default: {TOLERANCE})"
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, metavar="FRACTION", help=about)
    about = f"probability that the choice is that good (default: {CONFIDENCE})"
    parser.add_argument("--confidence", type=float, default=CONFIDENCE, metavar="PROBABILITY", help=about)
    add_format(parser, *FORMATS)


def act(args: argparse.Namespace) -> int:
    from ..prediction.policy import Policy
    from ..prediction.search import search, state_of
    from ..prediction.space import spend_of
    from ..stepping.place import check_device
    from ..store import Store
    from ..tables import predictions, rounds
    from ..verbs.search import TrainingSource, space_of
    from .show import print_lines, print_rows
    from .values import store_path, study_of

    how = training.asked(args)
    check_device(args.device)
    study = study_of(args)
    space = space_of(study, args.budget, args.arm)
    spend = spend_of(args.spend, space.grid)
    policy = Policy(space.budget, spend, space.grid, args.tolerance, args.confidence)
    source = TrainingSource(space, Store(store_path(args)), **how)

    def told(state: "SearchState") -> None:
        say(rounds.sentence(state, policy))

    if args.dry_run:
        told(state_of(policy, source.observe()))
        say("Nothing was trained.")
        return 0
    found = search(policy, source, on_state=told)
    for reason, count in sorted(Counter(found.failures).items()):
        print(f"ensembudget: {count} failed: {visible(reason)}", file=sys.stderr)
    if args.format == "json":
        print(json.dumps(rounds.document(found, policy), indent=1))
        return 1 if found.failures else 0
    known = [found.prediction] if found.prediction else []
    if args.format == "csv":
        print_rows(predictions.table, predictions.table.rows(known), "csv")
        return 1 if found.failures else 0
    print_rows(rounds.table, rounds.table.rows((found.state, policy)), columns=args.columns)
    print_rows(predictions.table, predictions.table.rows(known), columns=args.columns)
    print_lines(predictions.verdicts(known))
    return 1 if found.failures else 0


command = Command(
    "find the best split of a budget, training only what the answer needs",
    add_arguments,
    act,
    ("digits --budget 122k --spend 25%", "my_study.toml --budget 250k --spend 40TFLOP --dry-run"),
)
