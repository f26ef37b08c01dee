"""`ensembudget evaluate`: scores logits that were trained elsewhere."""

import argparse
from dataclasses import replace

from .parser import Command, Parser, add_format


def add_arguments(parser: Parser) -> None:
    about = "a safetensors file with logits (member, sample, class) and labels (sample)"
    parser.add_argument("--logits", required=True, metavar="FILE", help=about)
    parser.add_argument("--out", help="a folder for the tables `scores` and `sizes`, in every format")
    add_format(parser, "table", "csv", "json")


def act(args: argparse.Namespace) -> int:
    from ..rendering.write import open_folder, write_table
    from ..scoring.ensembles import score_pool
    from ..tables import scores, sizes
    from ..verbs.evaluate import read_logits
    from .show import print_rows

    logits, labels = read_logits(args.logits)
    folder = open_folder(args.out) if args.out else None
    scored = score_pool(logits, labels)
    found = sizes.size_results(logits, labels, scored)
    if folder:
        write_table(folder, replace(scores.table, csv_only=False), scored.scores)
        write_table(folder, sizes.table, found)
    print_rows(sizes.table, sizes.table.rows(found), args.format)
    if args.format == "table":
        for note in sizes.table.notes(found):
            print(note)
    return 0


command = Command(
    "score logits from elsewhere",
    add_arguments,
    act,
    ("--logits pool.safetensors --out scores",),
)
