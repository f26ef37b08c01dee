"""Means over disjoint subsets of training images, beside what members alone would say."""

from ._base import Column, Table
from ._setting import NAMES, setting_columns

table = Table(
    "subsets",
    "Over disjoint subsets of training images",
    (
        *setting_columns(),
        Column("budget_kind", get=lambda one: one.splits[0].split.budget_kind),
        Column("budget", "budget", ",d", get=lambda one: one.splits[0].split.budget),
        Column("members", "n", "d", get=lambda one: one.splits[0].split.members),
        Column("width", "width", "d", get=lambda one: one.splits[0].split.width),
        Column("subsets", "subsets", "d", get=lambda one: len(one.splits)),
        Column("cnll", "CNLL", ".4f", interval=True, get="cnll.mean"),
        Column("cnll_members", "over members alone", ".4f", interval=True, get="cnll.members"),
        Column("cnll_beyond", "between subsets", ".4f", get="cnll.beyond"),
        Column("difference", "CNLL minus wide", "+.4f", interval=True, get="difference.mean"),
        Column("verdict", "vs wide (n=1)"),
        Column("difference_members", "over members alone", "+.4f", interval=True, get="difference.members"),
        Column("difference_beyond", "between subsets", ".4f", get="difference.beyond"),
    ),
    rules=(
        "Each subset has as many training images and shares none with another; all are tested on the same"
        " samples. Intervals of CNLL and of CNLL minus wide are Student's, 95%, over the subsets (degrees of"
        " freedom: subsets - 1): they have the variation of training images and of members in them.",
        "Over members alone: the same mean with an interval at these training images. A few subsets may"
        " agree by chance: the verdict is by the wider of both intervals, each row by itself. Between"
        " subsets: standard deviation beyond what members explain, 0 where they explain all of it.",
    ),
    records=lambda analysis: analysis.subsets,
    order=12,
    summary=(*NAMES, "budget", "members", "difference", "verdict", "cnll", "width", "subsets"),
)
