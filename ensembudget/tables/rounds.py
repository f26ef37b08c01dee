"""One row a round of a search: what was trained and why."""

from typing import Any

from ..verbs.search import Found, Space, Step
from ._base import Column, Row, Table

table = Table(
    "rounds",
    "Rounds of the search",
    (
        Column("round", "round", "d"),
        Column("best", "best n before", "d"),
        Column("confidence", "confidence", ".2f"),
        Column("loss", "loss, nats", ".1e"),
        Column("width", "width trained", "d"),
        Column("seeds", "seeds"),
        Column("grid_percent", "of the grid, %", ".2f"),
        Column("reason", "reason"),
    ),
    about="search",
)


def rows(step: Step, space: Space) -> list[Row]:
    return [
        {
            "round": number,
            "best": one.best,
            "confidence": one.confidence if one.best else None,
            "loss": one.loss,
            "width": one.width,
            "seeds": " ".join(map(str, one.seeds)),
            "grid_percent": 100 * one.flops / space.grid,
            "reason": one.reason,
        }
        for number, one in enumerate(step.rounds, 1)
    ]


def sentence(step: Step, space: Space, spend: float) -> str:
    """Where a search is and what it does next."""
    decision, parts = step.decision, [f"round {len(step.rounds) + 1}"]
    parts.append(f"{step.spent / spend:.0%} of the spend, {step.spent / space.grid:.1%} of the grid")
    if decision.best:
        parts.append(
            f"best n = {decision.best.members} (width {decision.best.width}) with confidence"
            f" {decision.confidence:.2f}"
        )
    told = "stops" if decision.width is None else f"trains {decision.number} of width {decision.width}"
    return f"{'; '.join(parts)}; {told}: {decision.reason}"


def document(found: Found, space: Space) -> dict[str, Any]:
    """All of it as one JSON document."""
    decision = found.step.decision
    return {
        "stopped": decision.reason,
        "confidence": decision.confidence,
        "spent": found.step.spent,
        "grid": space.grid,
        "prediction": found.prediction and found.prediction.model_dump(mode="json"),
        "rounds": rows(found.step, space),
    }
