"""Which random cuts meet a wedge of the wedge model, dimension by dimension."""

from collections.abc import Sequence

from ..analysis import Analysis
from ..landscape.wedge_cuts import THICKNESS, CutResult
from ._base import Column, Table


def records(analysis: Analysis) -> Sequence[CutResult]:
    return analysis.wedge


table = Table(
    "wedge",
    "The wedge model: random cuts below and above the limit",
    (
        Column("dimension", "D", "d"),
        Column("wedge", "n", "d"),
        Column("limit", "D - n", "d"),
        Column("cut", "d", "d"),
        Column("repeats", "cuts", "d"),
        Column("succeeded", "meet a wedge", ".2f"),
        Column("reached", "lowest loss", ".4f"),
        Column("distance", "distance", ".2f"),
        Column("descent_succeeded", "reached by descent", ".2f"),
        Column("descent_reached", "descent's loss", ".4f"),
        Column("steps", "steps", "d"),
    ),
    rules=(
        "Low loss is the union of all wedges: n of D axes are long, the others short, and the loss of a"
        " point is its distance to the nearest wedge (Fort & Jastrzebski 2019, arXiv:1906.04724). Cuts are"
        " random affine subspaces of d dimensions; a generic one meets a wedge where d is at least D - n,"
        " in a single point at d = D - n.",
        f"Meet a wedge: the share of cuts whose lowest loss, by least squares, is at most {THICKNESS:g}."
        " Lowest loss and distance from the cut's origin are medians. Reached by descent: the share in"
        " which gradient descent from the origin gets there in so many steps.",
    ),
    records=records,
    order=64,
    summary=("dimension", "wedge", "cut", "limit", "succeeded", "descent_succeeded", "reached"),
)
