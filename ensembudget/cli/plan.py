"""`ensembudget plan`: the widths that spend a budget."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, PlanError, told
from .parser import Command, Parser, add_format
from .voice import say

if TYPE_CHECKING:
    from ..records import AnyTask, Split


def add_arguments(parser: Parser) -> None:
    from ..catalog import DTYPES

    about = "see ls datasets; folder:DIR, parquet:DIR and others read your own"
    parser.add_argument("--family", required=True, help="see ls families; timm:NAME is any timm model")
    parser.add_argument("--dataset", required=True, help=about)
    about = "cut images to their central square and resize them to N pixels a side"
    parser.add_argument("--image-size", type=int, metavar="N", help=about)
    about = "convert all images to this (default: leave them as they are)"
    parser.add_argument("--colour", choices=["rgb", "grey"], help=about)
    about = "leave out files that cannot be decoded"
    parser.add_argument("--skip-corrupt", action="store_true", help=about)
    about = "size of the vocabulary of texts (default: 1,000)"
    parser.add_argument("--vocabulary", type=int, metavar="N", help=about)
    about = "tokens in a text, a block, or each sentence of a pair (default: 32, 64 or 64)"
    parser.add_argument("--length", type=int, metavar="N", help=about)
    about = "such as 36.8M, 250k, 40MB or 5.2GFLOP; separate several by commas"
    parser.add_argument("--budget", required=True, help=about)
    parser.add_argument("--members", default="1,2,4,8,16", help="ensemble sizes (default: 1,2,4,8,16)")
    about = "see ls budgets (default: implied by the unit, else parameters)"
    parser.add_argument("--budget-kind", help=about)
    about = "only widths that are multiples of M"
    parser.add_argument("--multiple-of", type=int, default=1, metavar="M", help=about)
    about = "how weights are stored, for budgets in bytes (default: float32)"
    parser.add_argument("--dtype", choices=list(DTYPES), default="float32", help=about)
    _add_family_options(parser)
    about = "any other option of the family, such as those of timm: families; may be repeated"
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help=about)
    add_format(parser, "table", "csv", "json")


def _add_family_options(parser: Parser) -> None:
    """A flag for every option that some family has."""
    from ..catalog import FAMILIES

    families = FAMILIES.usable()
    defaults = {name: value for family in families.values() for name, value in family.options.items()}
    for name, value in defaults.items():
        owners = ", ".join(family for family, part in families.items() if name in part.options)
        flag = f"--{name.replace('_', '-')}"
        shared: dict[str, Any] = {"help": f"an option of {owners}", "dest": f"option_{name}"}
        words = next((part.choices[name] for part in families.values() if name in part.choices), None)
        if words:
            parser.add_argument(flag, choices=words, **shared)
        elif isinstance(value, bool):
            parser.add_argument(flag, action="store_true", default=None, **shared)
        else:
            parser.add_argument(flag, type=int, metavar="N", **shared)


def act(args: argparse.Namespace) -> int:
    from ..catalog import BUDGETS, FAMILIES
    from ..datasets._load import task_and_notes
    from ..families._build import resolve_options
    from .layouts import SPLITS
    from .show import print_rows

    options = _family_options(args)
    means = FAMILIES[args.family].width_means(resolve_options(args.family, options))
    if args.budget_kind is not None:
        BUDGETS[args.budget_kind]  # refuses one that does not exist
    form = {name: getattr(args, name) for name in ("colour", "skip_corrupt", "vocabulary", "length")}
    task, notes = task_and_notes(args.dataset, args.image_size, **form)
    found, refused = _splits(args, options, task)
    if not found:
        raise refused[0]
    print_rows(SPLITS, SPLITS.rows(found), args.format, args.columns)
    for one in refused:
        print(f"ensembudget: left out: {one}", file=sys.stderr)
    for note in notes if args.format == "table" else []:
        print(note)
    if means and args.format == "table":
        print(f"A width of k is {means}.")
    _say_what_misses(found, args.format)
    return 0


def _family_options(args: argparse.Namespace) -> dict[str, Any]:
    """Options of the family, from their own flags and from --option."""
    from .values import family_option

    flags = {
        name.removeprefix("option_"): value
        for name, value in vars(args).items()
        if name.startswith("option_") and value is not None
    }
    return flags | dict(map(family_option, args.option))


def _splits(
    args: argparse.Namespace, options: dict[str, Any], task: "AnyTask"
) -> tuple[list["Split"], list[PlanError]]:
    """The split of every budget and ensemble size, and why some cannot be."""
    from ..budgets._parse import parse_budget
    from ..planning.widths import split
    from .values import whole_numbers

    members = whole_numbers(args.members, "--members")
    budgets = [parse_budget(text, args.budget_kind) for text in args.budget.split(",")]
    if len(set(budgets)) < len(budgets):
        raise ArgumentError(f"--budget {told(args.budget)} has a budget twice. Give each once.")
    chosen = {"options": options, "multiple_of": args.multiple_of, "dtype": args.dtype}
    found: list[Split] = []
    refused: list[PlanError] = []
    for budget, kind in budgets:
        for n in members:
            try:
                found.append(split(args.family, task, budget, n, kind, **chosen))
            except PlanError as error:
                refused.append(error)
    return found, refused


def _say_what_misses(found: list["Split"], format: str) -> None:
    """Which splits miss their budget by 1%, and which by more than a study allows."""
    from ..records import Study

    off = [one for one in found if abs(one.error_percent) > 1]
    if off and format == "table":
        print(
            f"{len(off)} of {len(found)} splits are more than 1% off their budget: widths are whole numbers."
        )
    tolerance = Study.model_fields["tolerance"].default
    if far := [one for one in found if abs(one.error_percent) > 100 * tolerance]:
        worst = max(far, key=lambda one: abs(one.error_percent))
        say(
            f"ensembudget: {len(far)} of {len(found)} splits miss their budget by more than {tolerance:.0%},"
            f" at most {worst.error_percent:+.1f}% (n = {worst.members} at {worst.budget:,}): a study refuses"
            " them unless its tolerance allows it."
        )


command = Command(
    "find the widths that spend a budget, without training",
    add_arguments,
    act,
    (
        "--family wide_resnet --depth 28 --dataset cifar100 --budget 36.8M --members 1,2,4,8,16",
        "--family vgg --dataset cifar10 --budget 40MB,80MB --members 1,4 --multiple-of 8 --format csv",
        "--family timm:vit_tiny_patch16_224 --option patch_size=4 --dataset cifar10 --budget 1M",
    ),
)
