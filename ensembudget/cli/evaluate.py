"""`ensembudget evaluate`: scores predictions of members that were trained elsewhere."""

import argparse
from dataclasses import replace

from .parser import FORMATS, Command, Parser, add_format


def add_arguments(parser: Parser) -> None:
    given = parser.add_mutually_exclusive_group(required=True)
    about = (
        "safetensors, npz or pt with logits (member, sample, class) and labels (sample), and for tokens also"
        " samples (sample), the text that each token belongs to; parquet; npy"
    )
    given.add_argument("--logits", metavar="FILE", help=about)
    about = "the same with probabilities, which are 0 or more and sum to 1 over the classes"
    given.add_argument("--probabilities", metavar="FILE", help=about)
    parser.add_argument("--labels", metavar="FILE", help="where the labels are, if not in that file")
    parser.add_argument("--out", help="a folder for the tables `scores` and `sizes`, in every format")
    add_format(parser, *FORMATS)


def act(args: argparse.Namespace) -> int:
    from ..rendering.write import open_folder, write_table
    from ..scoring.ensembles import score_pool
    from ..tables import scores, sizes
    from ..verbs.predictions import read_logits
    from .progress import share_shown
    from .show import print_lines, print_rows

    path, probabilities = args.logits or args.probabilities, args.logits is None
    logits, labels, samples = read_logits(path, args.labels, probabilities=probabilities)
    folder = open_folder(args.out) if args.out else None
    with share_shown("evaluate") as on_share:
        scored = score_pool(
            logits,
            labels,
            samples=samples,
            kind="" if samples is None else "language_model",
            on_share=lambda share: on_share(share / 2),
        )
        found = sizes.size_results(logits, labels, scored, on_share=lambda share: on_share(0.5 + share / 2))
    if folder:
        write_table(folder, replace(scores.table, csv_only=False), scored.scores)
        write_table(folder, sizes.table, found)
    print_rows(sizes.table, sizes.table.rows(found), args.format, args.columns)
    if args.format == "table":
        print_lines(sizes.table.notes(found))
    return 0


command = Command(
    "score logits or probabilities from elsewhere",
    add_arguments,
    act,
    ("--logits pool.safetensors --out scores", "--probabilities pool.npy --labels labels.npy"),
)
