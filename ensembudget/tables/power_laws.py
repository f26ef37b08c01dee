"""One row a law: how CNLL falls along members, width, budget and data size."""

from ..analysis.laws import Along, LawResult
from ._base import Column, Row, Table
from ._setting import NAMES, setting_columns

AT = {
    Along.MEMBERS: "width {}",
    Along.WIDTH: "n {}",
    Along.BUDGET: "best n",
    Along.TRAIN_SIZE: "width {}, n {}",
}


FIT = (
    Column("law", get="fit.law"),
    Column("objective", get="fit.objective"),
    Column("a", "a", ".3f", interval=True, get="fit.a"),
    Column("b", "b", ".4g", interval=True, get="fit.b"),
    Column("c", "c", ".4f", interval=True, get="fit.c"),
    Column("residual", "residual", ".1e", get="fit.residual"),
    Column("points", "points", "d", get="fit.points"),
    Column("smallest", "from", "g", get="fit.smallest"),
    Column("largest", "to", "g", get="fit.largest"),
    Column("held_out_error", "held-out error", "+.4f", get="fit.held_out_error"),
    Column("reach", get=lambda one: one.fit.reach.value or None, optional=True),
    Column("no_interval", get="fit.no_interval", optional=True),
    Column("status", "status", get="fit.status"),
)


def refused(row: Row) -> bool:
    """Whether a row's law may be believed nowhere."""
    return row["status"] != "ok" and not row.get("reach")


def at(one: LawResult) -> str:
    """What is held fixed along a law."""
    return AT[one.along].format(*one.at)


table = Table(
    "power_laws",
    "Power laws",
    (
        *setting_columns(),
        Column("along", "along"),
        Column("at", "at", get=at),
        *FIT,
    ),
    rules=(
        "CNLL = c + b m^a, nats per sample, by least squares. Intervals of 95% are over fresh members: errors"
        " that the means may have are drawn by their covariance and Student's t, taken off, and the law is"
        " fitted again. Sizes of one pool share members and covary; widths are independent. Scatter beyond"
        " these errors is added where the residuals show it. All laws are on the same test samples.",
        "Along members, a law is fitted to sizes at least a factor of 1.4 apart (all, in pools of 4 or 5)."
        " Along budget, each point is the split with the lowest CNLL; that it was chosen is not in the"
        " intervals.",
        "Residual: root mean square, nats. Held-out error: prediction minus measurement at the largest m,"
        " from a fit without it.",
        "Status is ok where the asymptote c is determined. Where no asymptote shows, the law holds in the"
        " measured range alone. Intervals may end where the search does: at 0 for c, at -4 or -0.02 for a. A"
        " law that is refused has dashes here and its numbers in the CSV.",
    ),
    void=("a", "b", "c", "residual", "held_out_error"),
    refused=refused,
    records=lambda analysis: analysis.laws,
    order=20,
    summary=(*NAMES, "along", "at", "a", "status", "c", "b", "points", "held_out_error", "residual"),
)
