"""`ensembudget compare`: two result sets cell by cell."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .parser import FORMATS, Command, Parser, add_format

if TYPE_CHECKING:
    from ..scoring.pools import Results

DIFFERENT = 1  # the exit code where some cell differs; 0 says that none does


def add_arguments(parser: Parser) -> None:
    for name, of in (("a", "the first"), ("b", "the second, which is compared with it")):
        parser.add_argument(
            name,
            metavar=name.upper(),
            help=f"{of}: a preset (see ls studies), a TOML file, or the folder of a bundle",
        )
    about = "the folder of trained members (default: $ENSEMBUDGET_STORE, else store)"
    parser.add_argument("--store", help=about)
    parser.add_argument("--store-b", metavar="STORE", help="the store of B (default: that of A)")
    about = "compare incomplete studies, and say so"
    parser.add_argument("--allow-partial", action="store_true", help=about)
    parser.add_argument("--out", help="a folder for the table, in every format")
    add_format(parser, *FORMATS)


def act(args: argparse.Namespace) -> int:
    from ..rendering.write import open_folder, write_table
    from ..tables import comparison
    from ..tables._base import marked_partial
    from ..verbs.compare import compare_results
    from .layouts import FIELDS, UNMATCHED
    from .show import print_lines, print_tables

    a = results_of(args.a, args.store, allow_partial=args.allow_partial)
    store_b = args.store_b or args.store
    alike = (args.b, store_b) == (args.a, args.store)
    b = a if alike else results_of(args.b, store_b, allow_partial=args.allow_partial)
    found = compare_results(a, b)
    table = marked_partial(comparison.table) if a.partial or b.partial else comparison.table
    if args.out:
        write_table(open_folder(args.out), table, found)
    tables = [(table, table.rows(found))]
    if args.format == "json":
        tables += [(FIELDS, FIELDS.rows(found.fields)), (UNMATCHED, UNMATCHED.rows(found.unmatched))]
    print_tables(tables, args.format, args.columns)
    if args.format == "table":
        print_lines(table.notes(found))
    return DIFFERENT if found.differing else 0


def results_of(word: str, store: str | None, *, allow_partial: bool) -> "Results":
    """The results behind A or B: a study's, from a store, or a bundle's.

    Args:
        word: A preset, the path of a TOML file, or the folder of a bundle.
        store: The folder of its members; None for the default. A bundle has its own.
        allow_partial: Whether to go on with the members there are.
    """
    from ..studies import load_study
    from ..verbs.bundle import results_of_bundle
    from ..verbs.evaluate import evaluate
    from ..verbs.plan import stored_plan
    from .values import existing_store

    if Path(word).is_dir():
        return results_of_bundle(word)
    study, members = load_study(word), existing_store(argparse.Namespace(store=store))
    return evaluate(stored_plan(study, members), members, allow_partial=allow_partial)


command = Command(
    "compare two results cell by cell; exit code 1 where they differ",
    add_arguments,
    act,
    (
        "digits my_digits.toml",
        "digits digits --store mine --store-b theirs --format csv",
        "tables/digits-tuned digits_tuned",
    ),
)
