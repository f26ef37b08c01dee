"""How far one can go from members in random directions before the training loss has risen."""

from collections.abc import Callable
from functools import partial
from typing import Any

from ..analysis.tunnels import FIELDS, MeasuredTunnel, value_of
from ._base import Column, Table, Value
from ._setting import NAMES, setting_columns


def option(name: str) -> Callable[[MeasuredTunnel], Value]:
    return lambda one: one.options[name]


def _field(field: str, one: MeasuredTunnel) -> Value:
    return value_of(one.planned, field)


def field_columns(get: Callable[..., Any] = _field) -> tuple[Column, ...]:
    """A column for every field that tunnels are measured against."""
    return tuple(Column(field, field.replace("_", " "), "g", get=partial(get, field)) for field in FIELDS)


table = Table(
    "tunnels",
    "Tunnels: how far the training loss stays low around members",
    (
        *setting_columns(),
        Column("width", "width", "d", get="planned.cell.width"),
        *field_columns(),
        Column("members", "members", "d", get=lambda one: len(one.found)),
        Column("radius", "radius", ".3g", interval=True),
        Column("relative", "radius over norm", ".3f", interval=True),
        Column("norm", "norm", ".3g", interval=True),
        Column("train_loss", "training loss", ".4f", interval=True, get="loss"),
        Column("nll", "test NLL", ".4f", interval=True),
        Column("short", "short directions", ".0f", interval=True, optional=True),
        Column("rise", get=option("rise")),
        Column("directions", get=option("directions")),
        Column("threshold", get=option("threshold")),
    ),
    rules=(
        "Radius: how far one goes from a member in a random direction until the training loss has risen by"
        " the probe's `rise`, in units of weights; mean over its random directions. Batch norm's statistics"
        " are gathered anew at every point. Norm: of all of a member's weights.",
        "Intervals are 95%, Student's, over members. Short directions: about how many eigenvalues of the"
        " Hessian of the training loss are above the probe's `threshold`.",
    ),
    records=lambda analysis: analysis.tunnels,
    order=61,
    summary=(*NAMES, "width", *FIELDS, "radius", "relative", "train_loss", "nll", "members"),
)
