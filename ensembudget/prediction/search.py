"""Spends training only where the best split of a budget is still open: a policy decides, a source trains."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ..errors import IncompleteError
from ..records import Prediction, Round, Run
from ..scoring.covariance import ScoredPool
from .plane import LEAST_WIDTHS
from .policy import GONE, START, Decision, Policy
from .predict import predict
from .proposals import TrainableWidth


class Observed(NamedTuple):
    """What a source has: pools, what can be trained, and the rounds that led there."""

    pools: list[ScoredPool]
    widths: list[TrainableWidth]
    rounds: tuple[Round, ...]

    @property
    def spent(self) -> float:
        """Operations of all rounds."""
        return sum(one.flops for one in self.rounds)


class MemberSource(Protocol):
    """Where members come from: `TrainingSource` trains them, `Replay` takes them from stored pools."""

    def observe(self) -> Observed:
        """The current state; nothing is trained."""
        ...

    def train(self, decision: Decision) -> Sequence[str]:
        """A round: the members that were decided on. Returns why members failed, one reason each."""
        ...


@dataclass(frozen=True)
class SearchState:
    """A search between two rounds: what it knows, what it has spent, and what it trains next."""

    decision: Decision
    rounds: tuple[Round, ...]
    spent: float


@dataclass(frozen=True)
class SearchResult:
    """How a search ended.

    Attributes:
        state: The last.
        prediction: Of the splits; None where members failed before there was a law.
        failures: Why members failed in the last round, one reason each.
    """

    state: SearchState
    prediction: Prediction | None
    failures: tuple[str, ...] = ()


def state_of(policy: Policy, observed: Observed) -> SearchState:
    """What a search knows and would do next; nothing is trained."""
    decision = policy.decide(observed.pools, observed.widths, observed.spent)
    return SearchState(decision, observed.rounds, observed.spent)


def search(
    policy: Policy, source: MemberSource, *, on_state: Callable[[SearchState], None] = lambda state: None
) -> SearchResult:
    """Trains, a few members at a time, what tells most about the best split for its cost.

    Args:
        policy: Decides what is trained, and when it is enough.
        source: What is there, and how more is trained.
        on_state: Called before every round and at the end.

    Raises:
        IncompleteError: The spend is gone before there is a law.
    """
    while True:
        observed = source.observe()
        state = state_of(policy, observed)
        on_state(state)
        if state.decision.width is None:
            if state.decision.posterior is None:
                raise IncompleteError(_no_answer(policy, state, observed.widths))
            return SearchResult(state, _prediction(policy, state))
        if failures := source.train(state.decision):
            return SearchResult(state, _prediction(policy, state), tuple(failures))


def round_of(decision: Decision, runs: Sequence[Run], flops: float) -> Round:
    """The record of a round: what is trained, and what was known before.

    Args:
        decision: That led to it.
        runs: Members of one width.
        flops: Of one member.
    """
    return Round(
        width=runs[0].cell.width,
        seeds=[run.seed for run in runs],
        keys=[run.key for run in runs],
        flops=len(runs) * flops,
        best=decision.best.members if decision.best else None,
        confidence=decision.confidence,
        loss=decision.loss if decision.best else None,
        reason=decision.reason,
    )


def _prediction(policy: Policy, state: SearchState) -> Prediction | None:
    posterior = state.decision.posterior
    return None if posterior is None else predict(posterior, [policy.budget])[0]


def _no_answer(policy: Policy, state: SearchState, widths: Sequence[TrainableWidth]) -> str:
    advice = ""
    if state.decision.reason == GONE:
        cheapest = sorted(one.flops for one in widths if one.most >= START)[:LEAST_WIDTHS]
        share = START * sum(cheapest) / policy.grid
        advice = (
            f". {START} members of each of the {LEAST_WIDTHS} cheapest widths take"
            f" {math.ceil(1000 * share) / 10:g}% of the grid: ask for a --spend of at least that"
        )
    return (
        f"the search has no answer: {state.decision.reason} ({state.spent:.3g} of {policy.spend:.3g} FLOP)"
        f"{advice}."
    )
