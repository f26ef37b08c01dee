"""How well an ensemble's uncertainty tells test samples from samples of no class."""

from collections.abc import Callable, Sequence

from ..analysis import Analysis
from ..analysis.out_of_scope import DetectedOutside
from ..records import Interval
from ._base import Column, Table, Value
from ._setting import NAMES, setting_columns


def by(uncertainty: str) -> Callable[[DetectedOutside], Interval | None]:
    return lambda one: one.auroc[uncertainty]


def count(fact: str) -> Callable[[DetectedOutside], Value]:
    return lambda one: int(one.found.facts[fact] or 0)


def records(analysis: Analysis) -> Sequence[DetectedOutside]:
    return analysis.outside


table = Table(
    "out_of_scope",
    "Out of scope: how well uncertainty tells samples of no class",
    (
        *setting_columns(),
        Column("budget", "budget", ",d", optional=True),
        Column("width", "width", "d", get="planned.cell.width"),
        Column("members", "n", "d"),
        Column("groups", "groups", "d"),
        Column("max_probability", "by max. probability", ".4f", interval=True, get=by("max_probability")),
        Column("entropy", "by entropy", ".4f", interval=True, get=by("entropy")),
        Column(
            "mutual_information",
            "by mutual information",
            ".4f",
            interval=True,
            get=by("mutual_information"),
        ),
        Column("inside", "test samples", ",d", get=count("inside")),
        Column("outside", "of no class", ",d", get=count("outside")),
    ),
    rules=(
        "AUROC: the share of pairs of a sample of no class and a test sample in which the former is less"
        " certain, ties counted half; 0.5 is chance. Uncertainty is 1 minus the maximum probability of the"
        " members' mean, the entropy of the mean, or the mutual information: that entropy minus the members'"
        " mean entropy, which one member does not have. Mean over disjoint ensembles of n members.",
        "Intervals are 95%, over members and samples together: of single members and of 8 groups and more"
        " the groups' own spread, of fewer the jackknife over their members, and bootstrap draws of test"
        " samples and samples of no class. A pool of one shows no spread of members.",
    ),
    records=records,
    order=56,
    summary=(*NAMES, "width", "members", "entropy", "max_probability", "mutual_information", "budget"),
)
