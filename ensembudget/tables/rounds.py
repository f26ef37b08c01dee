"""One row a round of a search: what was trained and why."""

from typing import Any, NamedTuple

from ..prediction.policy import Policy
from ..prediction.search import SearchResult, SearchState
from ..records import Round
from ._base import Column, Row, Table


class NumberedRound(NamedTuple):
    """A round, its number from 1 on, and the operations of the full grid."""

    number: int
    round: Round
    grid: float


def numbered(subject: tuple[SearchState, Policy]) -> list[NumberedRound]:
    """The rounds of a search by its policy."""
    state, policy = subject
    return [NumberedRound(number, one, policy.grid) for number, one in enumerate(state.rounds, 1)]


table = Table(
    "rounds",
    "Rounds of the search",
    (
        Column("round", "round", "d", get=lambda row: row.number),
        Column("best", "best n before", "d", get=lambda row: row.round.best),
        Column(
            "confidence",
            "confidence",
            ".2f",
            get=lambda row: row.round.confidence if row.round.best else None,
        ),
        Column("loss", "loss, nats", ".1e", get=lambda row: row.round.loss),
        Column("width", "width trained", "d", get=lambda row: row.round.width),
        Column("seeds", "seeds", get=lambda row: " ".join(map(str, row.round.seeds))),
        Column("grid_percent", "of the grid, %", ".2f", get=lambda row: 100 * row.round.flops / row.grid),
        Column("reason", "reason", get=lambda row: row.round.reason),
    ),
    about="search",
    records=numbered,
    summary=("round", "best", "confidence", "width", "grid_percent", "reason"),
)


def sentence(state: SearchState, policy: Policy) -> str:
    """Where a search is and what it does next."""
    decision, parts = state.decision, [f"round {len(state.rounds) + 1}"]
    parts.append(
        f"{state.spent / policy.spend:.0%} of the spend, {state.spent / policy.grid:.1%} of the grid"
    )
    if decision.best:
        parts.append(
            f"best n = {decision.best.members} (width {decision.best.width}) with confidence"
            f" {decision.confidence:.2f}"
        )
    told = "stops" if decision.width is None else f"trains {decision.number} of width {decision.width}"
    return f"{'; '.join(parts)}; {told}: {decision.reason}"


def document(result: SearchResult, policy: Policy) -> dict[str, Any]:
    """All of a search as one JSON document."""
    decision = result.state.decision
    rows: list[Row] = table.rows((result.state, policy))
    return {
        "stopped": decision.reason,
        "confidence": decision.confidence,
        "spent": result.state.spent,
        "grid": policy.grid,
        "prediction": result.prediction and result.prediction.model_dump(mode="json"),
        "rounds": rows,
    }
