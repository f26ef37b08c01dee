"""`ensembudget search`: the best split of a budget, training only what is needed to know it."""

import argparse
import json
import sys
from collections import Counter
from typing import TYPE_CHECKING

from .parser import Command, Parser, add_device, add_format, add_study

if TYPE_CHECKING:
    from ..prediction.search import SearchState


def add_arguments(parser: Parser) -> None:
    from ..records.search import CONFIDENCE, TOLERANCE

    add_study(parser)
    parser.add_argument("--budget", required=True, help="like 36.8M, 250k")
    about = "training it may cost: a share of the study's full grid for this budget, like 25%%, or 40TFLOP"
    parser.add_argument("--spend", required=True, help=about)
    parser.add_argument("--arm", help="which, where there are several")
    about = f"a split this fraction above the lowest CNLL is as good as the best (default: {TOLERANCE})"
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, metavar="FRACTION", help=about)
    about = f"probability that the choice is that good (default: {CONFIDENCE})"
    parser.add_argument("--confidence", type=float, default=CONFIDENCE, metavar="PROBABILITY", help=about)
    parser.add_argument("--executor", default="serial", help="see ls executors (default: serial)")
    add_device(parser)
    about = "say what would be trained next, and train nothing"
    parser.add_argument("--dry-run", action="store_true", help=about)
    add_format(parser, "table", "json")


def act(args: argparse.Namespace) -> int:
    from .. import studies
    from ..prediction.policy import Policy
    from ..prediction.search import search, state_of
    from ..prediction.space import spend_of
    from ..rendering.render import render
    from ..store import Store
    from ..tables import predictions, rounds
    from ..verbs.search import TrainingSource, space_of
    from .values import store_path

    study = studies.load_study(args.study)
    space = space_of(study, args.budget, args.arm)
    spend = spend_of(args.spend, space.grid)
    policy = Policy(space.budget, spend, space.grid, args.tolerance, args.confidence)
    source = TrainingSource(space, Store(store_path(args)), executor=args.executor, device=args.device)

    def say(state: "SearchState") -> None:
        print(rounds.sentence(state, policy), file=sys.stderr, flush=True)

    if args.dry_run:
        say(state_of(policy, source.observe()))
        print("Nothing was trained.", file=sys.stderr)
        return 0
    found = search(policy, source, on_state=say)
    for reason, count in sorted(Counter(found.failures).items()):
        print(f"ensembudget: {count} failed: {reason}", file=sys.stderr)
    if args.format == "json":
        print(json.dumps(rounds.document(found, policy), indent=1))
        return 1 if found.failures else 0
    known = [found.prediction] if found.prediction else []
    print(render(rounds.table, rounds.table.rows((found.state, policy)), "txt"))
    print(render(predictions.table, predictions.table.rows(known), "txt"))
    print(*predictions.verdicts(known), sep="\n")
    return 1 if found.failures else 0


command = Command(
    "find the best split of a budget, training only what the answer needs",
    add_arguments,
    act,
    ("digits --budget 122k --spend 25%", "my_study.toml --budget 250k --spend 40TFLOP --dry-run"),
)
