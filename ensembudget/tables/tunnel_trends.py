"""Whether tunnels widen with learning rate, width, weight decay, dropout or batch size."""

from functools import partial

from ..analysis.tunnels import FIELDS, TunnelTrend, value_of
from ._base import Column, Table, Value
from ._setting import NAMES, setting_columns

# Read off the figures of Fort & Jastrzebski 2019, arXiv:1906.04724, from the lowest to the highest value.
PAPER = {
    "learning_rate": "rises, 5.0 to 6.0",
    "weight_decay": "rises, 6.0 to 6.5",
    "dropout": "rises, 6.0 to 6.3",
    "batch_size": "falls",
}


def shared(field: str, one: TunnelTrend) -> Value:
    """The value of a field that both ends share; None of the one that differs."""
    return None if field == one.field else value_of(one.low.planned, field)


table = Table(
    "tunnel_trends",
    "Tunnels at the lowest and the highest value of one field, all else equal",
    (
        *setting_columns(),
        Column("field", "field", get=lambda one: one.field.replace("_", " ")),
        Column("values", "values", get=lambda one: ", ".join(f"{value:g}" for value in one.values)),
        Column("at_width", "width", "d", get=partial(shared, "width")),
        *(Column(field, field.replace("_", " "), "g", get=partial(shared, field)) for field in FIELDS),
        Column("members", "members each", "d", get=lambda one: min(len(one.low.radii), len(one.high.radii))),
        Column("low", "radius at lowest", ".3g", interval=True, get="low.radius"),
        Column("high", "radius at highest", ".3g", interval=True, get="high.radius"),
        Column("difference", "difference", "+.3g", interval=True),
        Column("direction", "direction"),
        Column("lowest_over_norm", "radius over norm at lowest", ".3f", interval=True, get="low.relative"),
        Column("highest_over_norm", "radius over norm at highest", ".3f", interval=True, get="high.relative"),
        Column("over_norm", "difference over norm", "+.3f", interval=True, get="relative"),
        Column("over_norm_direction", "direction over norm", get="relative_direction"),
        Column("paper", "in the paper", get=lambda one: PAPER.get(one.field)),
    ),
    rules=(
        "Direction: rises or falls where the interval of the difference excludes zero; each row by itself."
        " Intervals are 95%: Student's over members, and Welch's of differences.",
        "In the paper: as read off the figures of Fort & Jastrzebski 2019 (arXiv:1906.04724) for one small"
        " network without batch norm; its values of the fields, its rise of the loss and its units of"
        " weights are others. With batch norm, most weights may be scaled freely, so compare radii over"
        " norms.",
    ),
    records=lambda analysis: analysis.tunnel_trends,
    order=62,
    summary=(
        *NAMES,
        "field",
        "values",
        "at_width",
        "difference",
        "direction",
        "over_norm",
        "over_norm_direction",
        "paper",
    ),
)
