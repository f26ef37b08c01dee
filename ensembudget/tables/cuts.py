"""Training inside random subspaces: what is reached, dimension by dimension."""

from collections.abc import Iterator, Sequence

from ..analysis import Analysis
from ..analysis.cuts import SUCCESS, TrainedCut
from ._base import Column, Table
from ._setting import NAMES, setting_columns


def notes(analysis: Analysis) -> list[str]:
    """From which dimension on all cuts succeed, at every pool."""
    groups: dict[tuple[str, int], list[TrainedCut]] = {}
    for one in analysis.cuts:
        groups.setdefault((one.setting.label, one.width), []).append(one)
    return [line for group in groups.values() for line in _threshold(group)]


def _threshold(group: Sequence[TrainedCut]) -> Iterator[str]:
    first = group[0]
    where = f"{first.setting.label}: w" * bool(first.setting.label) or "W"
    failed = [one.dimension for one in group if one.successes < len(one.found)]
    whole = [
        one.dimension
        for one in group
        if one.successes == len(one.found) and one.dimension > max(failed, default=0)
    ]
    said = f"{where}idth {first.width}, {first.parameters:,} parameters:"
    if whole:
        below = f", and some fail at {max(failed):,}" if failed else ""
        yield f"{said} all cuts succeed from dimension {min(whole):,} on{below}."
    else:
        yield f"{said} not all cuts succeed at any dimension that was tried, up to {group[-1].dimension:,}."


table = Table(
    "cuts",
    "Cuts: training inside random subspaces",
    (
        *setting_columns(),
        Column("width", "width", "d"),
        Column("parameters", "parameters", ",d"),
        Column("dimension", "dimension", ",d"),
        Column("cuts", "cuts", "d", get=lambda one: len(one.found)),
        Column("successes", "succeed", "d"),
        Column("train_loss", "training loss", ".4f", interval=True, get="loss"),
        Column("train_error", "training error", ".4f", interval=True, get="error"),
        Column("whole_error", "whole network's", ".4f", interval=True, get="whole"),
        Column("test_nll", "test NLL", ".4f", interval=True, get="nll"),
        Column("epochs", get=lambda one: one.options["epochs"]),
        Column("learning_rate", get=lambda one: one.options["learning_rate"]),
    ),
    rules=(
        "A cut is a random affine subspace through new initial weights; a network is trained inside it,"
        f" without weight decay. It succeeds where its training accuracy is at least {SUCCESS:.0%} of that"
        " of a member of the same pool, which was trained in all dimensions (Li et al. 2018,"
        " arXiv:1804.08838).",
        "Intervals are 95%, Student's, over cuts. Losses in nats per sample; batch norm's statistics are"
        " gathered anew on the training images.",
    ),
    records=lambda analysis: analysis.cuts,
    notes=notes,
    order=63,
    summary=(*NAMES, "width", "dimension", "successes", "cuts", "train_loss", "train_error", "whole_error"),
)
