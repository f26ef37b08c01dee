"""One row a (budget, n): the CNLL that is predicted, and how likely it is the best."""

from collections.abc import Sequence

import numpy as np

from ..prediction.law import Posterior
from ..records import Prediction
from ._base import Column, Row, Table, spread_out

table = Table(
    "predictions",
    "Predicted splits",
    (
        Column("budget", "budget", ",d"),
        Column("budget_kind"),
        Column("members", "n", "d"),
        Column("width", "width", "d"),
        Column("parameters_total", "parameters", ",d"),
        Column("cnll", "CNLL", ".4f", interval=True),
        Column("gain", "gain over wide", "+.4f", interval=True),
        Column("probability_best", "P(best)", ".2f"),
        Column("beyond_width", "beyond in width, x", ".1f"),
        Column("beyond_members", "in n, x", ".1f"),
        Column("beyond_budget", "in budget, x", ".1f"),
        Column("best"),
        Column("status"),
    ),
    rules=(
        "CNLL in expectation over members, nats per sample, on the test set of the plane; gain is the wide"
        " network's (n = 1) minus the split's. Intervals are 90%: over members drawn anew, deviations from"
        " the law, and its exponents.",
        "★ marks the lowest expected CNLL of a budget; P(best) is the share of draws in which it is lowest.",
        "Beyond: how many times beyond the largest width, n and budget that were measured; 1 is within.",
    ),
    marked="members",
    about="prediction",
)


def rows(predictions: Sequence[Prediction]) -> list[Row]:
    return [
        {
            "budget": one.budget,
            "budget_kind": one.budget_kind,
            "members": split.members,
            "width": split.width,
            "parameters_total": split.parameters_total,
            **spread_out("cnll", split.cnll),
            **spread_out("gain", split.gain),
            "probability_best": split.probability_best,
            **{f"beyond_{name}": value for name, value in split.extrapolation.model_dump().items()},
            "best": "best" if split.members == one.best else "",
            "status": one.status,
        }
        for one in predictions
        for split in one.splits
    ]


def law_note(posterior: Posterior) -> str:
    """The likeliest law in numbers."""
    plane, (scatter, fitted) = posterior.plane, posterior.best
    c, b, d, e = fitted.coefficients[0]
    doubted = ", ".join(map(str, posterior.doubted))
    along_members, along_width = posterior.exponents
    return (
        f"Law: CNLL = {c:.4g} + {b:.4g} n^-{along_members:.2f} + {d:.4g} q^-{along_width:.2f}"
        f" + {e:.4g} n^-{along_members:.2f} q^-{along_width:.2f}, q the parameters of a member over"
        f" {plane.columns[0].parameters:,}; from {len(plane.cnll)} cells of {len(plane.columns)} widths,"
        f" which lie {float(np.hypot(*scatter)):.2g} nats about it."
        + (f" Far from where all others expect it, and counted less: width {doubted}." if doubted else "")
    )


def verdicts(predictions: Sequence[Prediction]) -> list[str]:
    """What each budget comes to, one sentence each."""
    return [_verdict(one) for one in predictions]


def _verdict(one: Prediction) -> str:
    best = next(split for split in one.splits if split.members == one.best)
    kind = one.budget_kind
    text = (
        f"At {one.budget:,} {kind} the best split is expected to be n = {best.members} (width {best.width}):"
        f" CNLL {best.cnll.value:.4f} [{best.cnll.low:.4f}, {best.cnll.high:.4f}], best with probability"
        f" {best.probability_best:.2f}"
    )
    if best.members > 1:
        gain = best.gain
        text += f", {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}] better than the wide network"
    return text + (f". But {one.status}." if one.status != "ok" else ".")
