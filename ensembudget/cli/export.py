"""`ensembudget export`: a split of a study as one folder to ship."""

import argparse
from typing import TYPE_CHECKING

from .parser import Command, Parser, add_device, add_study

if TYPE_CHECKING:
    from ..exporting.card import Card
    from ..verbs.choose import ExportChoice


def add_arguments(parser: Parser) -> None:
    from ..catalog import FORMATS

    add_study(parser)
    parser.add_argument("--budget", required=True, help="one of the study's, like 36.8M, 250k or 2MB")
    about = "the split of N members (default: the one with the lowest CNLL)"
    parser.add_argument("--members", type=int, metavar="N", help=about)
    parser.add_argument("--arm", help="which arm, if the study has several")
    about = "the tuned recipe or the study's own, if the study tunes"
    parser.add_argument("--tuned", choices=("yes", "no"), help=about)
    about = "number of training images, if the study has several, like 8000 or 50k"
    parser.add_argument("--images", metavar="N", help=about)
    about = "which draw of training images, if the study has several, from 0"
    parser.add_argument("--subset", type=int, metavar="I", help=about)
    about = "how weights are stored, if the study has several dtypes"
    parser.add_argument("--dtype", help=about)
    about = f"{', '.join(FORMATS)}; separate several by commas (default: safetensors)"
    parser.add_argument("--format", default="safetensors", metavar="FORMAT,...", help=about)
    parser.add_argument("--out", required=True, help="the folder to write, which must be new or empty")
    about = "how weights that were not kept are trained; see ls executors (default: serial)"
    parser.add_argument("--executor", default="serial", help=about)
    add_device(parser)
    about = "show what would be exported and trained, and do neither"
    parser.add_argument("--dry-run", action="store_true", help=about)


def act(args: argparse.Namespace) -> int:
    from ..executors._spec import executor_of
    from ..exporting.folder import check_formats, check_target
    from ..stepping.place import check_device
    from ..verbs.choose import choose_export
    from ..verbs.export import export
    from .progress import shown
    from .values import existing_store, image_count, study_of

    formats = [word.strip() for word in args.format.split(",")]
    check_formats(formats)
    check_target(args.out)
    check_device(args.device)
    executor_of(args.executor)
    study, store = study_of(args), existing_store(args)
    choice = choose_export(
        study,
        store,
        args.budget,
        args.members,
        arm=args.arm,
        tuned=None if args.tuned is None else args.tuned == "yes",
        train_size=None if args.images is None else image_count(args.images, "--images"),
        subset=args.subset,
        dtype=args.dtype,
        device=args.device,
    )
    _say_choice(choice)
    if args.dry_run:
        print("Nothing was exported.")
        return 0
    with shown(study.name) as on_progress:
        card = export(choice, store, args.out, formats, executor=args.executor, on_progress=on_progress)
    _say_card(card, args.out)
    return 0


def _say_choice(choice: "ExportChoice") -> None:
    """What is exported and why, and what it takes, before anything is trained."""
    from .show import duration

    split, score = choice.result.split, choice.result.score
    assert score is not None
    why = "as asked" if choice.named else f"the lowest CNLL of {split.budget:,} {split.budget_kind}"
    label = f" of {split.setting.label}" if split.setting.label else ""
    print(f"n = {split.members}, width {split.width}{label}: CNLL {score.cnll.value:.4f}, {why}.")
    if choice.jobs:
        print(
            f"{len(choice.repeated)} members are trained again, because weights were not kept: about"
            f" {duration(choice.seconds)}, {choice.plan.training_flops(choice.repeated):.2g} FLOP.",
            flush=True,
        )


def _say_card(card: "Card", out: str) -> None:
    from ..catalog import TASKS
    from ..exporting.card import scored_on
    from .layouts import EXPORTED
    from .show import print_rows

    budget, plan = card.budget, card.blueprint
    print_rows(EXPORTED, EXPORTED.rows(list(card.files.items())))
    print(
        f"The budget is {budget.amount:,} {budget.kind}; this split has {budget.parameters:,} parameters,"
        f" {budget.bytes:,} bytes in {budget.dtype}."
    )
    if budget.dtype != "float32":
        print(
            f"Weights are rounded to {budget.dtype}. Safetensors stores them so; the graphs of torch and ONNX"
            " hold them in float32, which is larger."
        )
    samples = TASKS[plan.inputs.kind].samples
    print(
        f"Temperature {plan.temperature:.4f}, fitted on the {card.data.temperature_fitted_on} {samples}."
        f" Accuracy {card.quality.own_accuracy:.4f} on {scored_on(card)}, on which every file was run again."
    )
    print(f"Card and files are in {out}.")


command = Command(
    "write a split of a study as one folder to ship: weights, graph, card",
    add_arguments,
    act,
    (
        "digits --budget 61k --out shipped",
        "my_study.toml --budget 2MB --format safetensors,torch,onnx --out shipped",
    ),
)
