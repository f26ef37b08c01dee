"""`ensembudget bundle`: a report with the logits it follows from, for others to verify."""

import argparse

from .parser import Command, Parser, add_study


def add_arguments(parser: Parser) -> None:
    add_study(parser)
    about = "the folder; an earlier report of the study in it is replaced"
    parser.add_argument("--out", required=True, help=about)
    about = "keep logits in 2 bytes a number; refused where a printed digit would change"
    parser.add_argument("--float16", action="store_true", help=about)
    about = "include what members recorded each epoch, for tables of dynamics"
    parser.add_argument("--histories", action="store_true", help=about)
    about = "bundle an incomplete study, marked as partial"
    parser.add_argument("--allow-partial", action="store_true", help=about)
    parser.add_argument("--costs", help="a CSV of measured costs, as `pytest benchmarks` writes it")


def act(args: argparse.Namespace) -> int:
    from ..verbs.bundle import bundle
    from ..verbs.plan import stored_plan
    from .values import existing_store, read_costs, study_of

    study, store = study_of(args), existing_store(args)
    made = bundle(
        stored_plan(study, store),
        store,
        args.out,
        float16=args.float16,
        histories=args.histories,
        allow_partial=args.allow_partial,
        costs=read_costs(args.costs) if args.costs else None,
    )
    print(
        f"{made.members} members' logits in {made.dtype}: {made.logits_bytes:,} bytes; plan, descriptions and"
        f" labels: {made.other_bytes:,} bytes; the report: {made.report_bytes:,} bytes."
    )
    print(f"All is in {args.out}. Whoever has it checks every number: ensembudget verify {args.out}")
    return 0


command = Command(
    "write a report with the logits it follows from, for others to verify",
    add_arguments,
    act,
    ("digits --out published", "my_study.toml --float16 --out published"),
)
