"""One row a law: how CNLL falls along members, width and budget."""

from ..analysis.laws import Along, LawResult
from ._base import Column, Table

AT = {Along.MEMBERS: "width {}", Along.WIDTH: "n {}", Along.BUDGET: "best n"}


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
    Column("status", "status", get="fit.status"),
)


def at(one: LawResult) -> str:
    """What is held fixed along a law."""
    return AT[one.along].format(one.at)


table = Table(
    "power_laws",
    "Power laws",
    (
        Column("arm", "arm", get=lambda one: one.arm or None, optional=True),
        Column("along", "along"),
        Column("at", "at", get=at),
        *FIT,
    ),
    rules=(
        "CNLL = c + b m^a, nats per sample, by least squares, with 95% profile intervals from Student's t."
        " Residual: root mean square, nats. Held-out error: prediction minus measurement at the largest m,"
        " from a fit without it.",
        "A law whose status is not ok is refused: its numbers are in the CSV and are dashes here.",
        "Ensembles of one pool share members, so points along n are not independent; the intervals assume"
        " equal scatter at all points.",
    ),
    void_unless_ok=("a", "b", "c", "residual", "held_out_error"),
    records=lambda analysis: analysis.laws,
    order=20,
)
