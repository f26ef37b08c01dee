"""How high the loss rises between members: straight lines, optimised paths, and the hulls of several."""

from collections.abc import Sequence

from ..analysis import Analysis
from ..analysis.connectors import Connection
from ..records import FIRST_ABI
from ._base import Column, Table
from ._setting import NAMES, setting_columns

ALIGNED = {True: "yes", False: "no", None: None}


def path(one: Connection) -> str:
    return f"hull of {one.joined}" if one.is_hull else one.path


def records(analysis: Analysis) -> Sequence[Connection]:
    return analysis.connections


def notes(analysis: Analysis) -> Sequence[str]:
    """Where the points of planes start; of those that all started on the line nothing is said."""
    abis = {one.found[0].subject.abi for one in analysis.connections if one.kind == "planes"}
    if not abis - {FIRST_ABI}:
        return ()
    return (
        "The middle point of planes starts on the line. The others start later, halving by halving, on the"
        " straight pieces between their neighbours.",
    )


table = Table(
    "connectors",
    "Connectors: how high the loss rises between members",
    (
        *setting_columns(),
        Column("width", "width", "d"),
        Column("path", "path", get=path),
        Column("aligned", "aligned", get=lambda one: ALIGNED[one.aligned]),
        Column("joined", "members joined", "d"),
        Column("groups", "groups", "d", get=lambda one: len(one.found)),
        Column("train_barrier", "training barrier", ".3f", interval=True, get="train"),
        Column("test_barrier", "test barrier", ".3f", interval=True, get="test"),
        Column("error_barrier", "error barrier", ".3f", interval=True, get="error"),
        Column("straight", "straight", ".3f", interval=True),
        Column("unaligned", "straight, unaligned", ".3f", interval=True),
        Column("share", "share of straight, unaligned", ".3f", interval=True),
        Column("distance", "distance", ".1f", interval=True, optional=True),
        Column("norm", "norm", ".1f", interval=True, optional=True),
        Column("short_end", "short directions, ends", ".0f", interval=True, optional=True),
        Column("short_middle", "short directions, middle", ".0f", interval=True, optional=True),
        Column("epochs", get=lambda one: one.options.get("epochs")),
        Column("learning_rate", get=lambda one: one.options.get("learning_rate")),
    ),
    rules=(
        "Barrier: how far the value rises above the straight line between its values at the ends, at most,"
        " over the points that were evaluated; of a hull, the value at the moved centre minus the members'"
        " mean, which may be below zero. Training and test loss in nats per sample, error as a share. Batch"
        " norm's statistics are gathered anew on the training images at every point.",
        "planes: points of the line, each moved to lower training loss in the plane normal to the line,"
        " joined by straight pieces, whose middles are evaluated too. bezier, chain: curves with one"
        " trained bend. hull of m + 1: an m-connector.",
        "Straight: training barrier of the straight line between the same members, aligned alike; of a"
        " hull, at the centre before it was moved. Aligned: the channels of the second member were permuted"
        " to match the first. Share of straight: each group's training barrier over that of its unaligned"
        " line, averaged.",
        "Intervals are 95%, Student's, over groups of members that share none; one group shows no spread"
        " and has none. Distance and norm are in the units of weights. Short directions: about how many"
        " eigenvalues of the Hessian of the training loss are above the probe's threshold.",
    ),
    records=records,
    notes=notes,
    order=60,
    summary=(
        *NAMES,
        "width",
        "path",
        "aligned",
        "train_barrier",
        "share",
        "straight",
        "error_barrier",
        "groups",
    ),
)
