"""Which members to train next, so that the best split of a budget is known for the least training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError
from ..records.search import CONFIDENCE, TOLERANCE
from ..scoring.covariance import ScoredPool
from .budgets import Budgeted, Candidate
from .forms import FORMS, Form
from .law import fit_plane
from .plane import LEAST_WIDTHS, checked
from .pools import curves_of
from .posterior import DRAWS, Posterior
from .proposals import SLICE, Proposal, TrainableWidth, affordable, proposals

START = 2  # members of a width before a law is tried
GONE = "the spend is gone before there is a law"


class Decision(NamedTuple):
    """What is known now, and what to train next.

    Attributes:
        best: The split with the lowest expected CNLL; None before there is a law.
        confidence: Probability that it is within the tolerance of the best.
        loss: Expected CNLL of the choice above that of the best, nats per sample.
        width: Of the members to train next; None to stop.
        number: How many of them.
        reason: Why, in a sentence.
        posterior: The law, where there is one.
    """

    best: Candidate | None
    confidence: float
    loss: float
    width: int | None
    number: int
    reason: str
    posterior: Posterior | None = None


@dataclass(frozen=True)
class Policy:
    """Decides what a search trains next, and when it stops.

    Attributes:
        budget: The splits to choose from.
        spend: Operations of training that the search may take, earlier rounds included.
        grid: Operations of all that the study would train for this budget, for what is reported of the spend.
        tolerance: A split this fraction above the lowest CNLL is as good as the best.
        confidence: Probability with which the chosen split must be that good.
        forms: That the law may have.
        draws: From its posterior.

    Raises:
        ArgumentError: A tolerance or confidence that is not between 0 and 1.
    """

    budget: Budgeted
    spend: float
    grid: float
    tolerance: float = TOLERANCE
    confidence: float = CONFIDENCE
    forms: Sequence[Form] = FORMS
    draws: int = DRAWS

    def __post_init__(self) -> None:
        for name, value in (("tolerance", self.tolerance), ("confidence", self.confidence)):
            if not 0 < value < 1:
                raise ArgumentError(f"--{name} {value:g} must lie between 0 and 1, say 0.01 and 0.95.")

    def decide(self, pools: Sequence[ScoredPool], widths: Sequence[TrainableWidth], spent: float) -> Decision:
        """The next members to train, or that it is time to stop.

        Args:
            pools: What is trained, one a width.
            widths: What can be trained, the widths of `pools` among them.
            spent: Operations spent so far.
        """
        left, candidates = self.spend - spent, self.budget.candidates
        first, why = _first(widths, candidates, left)
        if why:
            return Decision(None, 0.0, np.inf, first, 0 if first is None else 1, why)
        posterior = fit_plane(checked(curves_of(pools), "the search"), self.forms)
        places = np.array([(one.members, one.parameters) for one in candidates], float)
        drawn = posterior.draws(*places.T, count=self.draws)
        best, lowest = int(drawn.mean(1).argmin()), drawn.min(0)
        sure = float((drawn[best] <= (1 + self.tolerance) * lowest).mean())
        loss = float((drawn[best] - lowest).mean())
        state = (candidates[best], sure, loss)
        if sure >= self.confidence:
            why = f"within {self.tolerance:.1%} of the best with probability {sure:.2f}"
            return Decision(*state, None, 0, why, posterior)
        open_ones = [(one, affordable(one, left)) for one in widths if one.trained < one.most]
        if not any(count for _, count in open_ones):
            why = "the spend is gone" if open_ones else "every member of the plan is trained"
            return Decision(*state, None, 0, why, posterior)
        offered = proposals(posterior, pools, open_ones, candidates, draws=self.draws)

        def yields(one: Proposal) -> float:
            # Not the value of a single member over its cost: a cheap first one always wins, and the next
            # says little. No proposal can gain more than there is to lose.
            return min(one.value, loss) / max(SLICE * left, one.flops)

        chosen = max(offered, key=yields)
        why = (
            f"expected to lower the loss of a wrong choice, {loss:.2g} nats, by"
            f" {min(chosen.value, loss):.2g}: most per operation"
        )
        return Decision(*state, chosen.width, chosen.number, why, posterior)


def _first(
    widths: Sequence[TrainableWidth], candidates: Sequence[Candidate], left: float
) -> tuple[int | None, str]:
    """The width to begin with and why; "" where what is there can carry a law.

    A law comes from the cheapest widths. The wide network is what splits are compared with, and the farthest
    from them: on real planes, errors one width beyond the last are at times twice what was expected. So it is
    trained once where the spend allows it.
    """
    usable = sorted((one for one in widths if one.most >= START), key=lambda one: one.flops)
    if len(usable) < LEAST_WIDTHS:
        return None, f"a law needs {LEAST_WIDTHS} widths with {START} members that do not diverge"
    lacking = [one for one in usable if one.trained < START]
    if len(usable) - len(lacking) < LEAST_WIDTHS:
        if lacking[0].flops > left:
            return None, GONE
        return lacking[0].width, f"a law needs {LEAST_WIDTHS} widths, of each {START} members"
    wide = next(one for one in widths if one.width == max(c.width for c in candidates))
    if wide.trained or not wide.most or wide.flops > left:
        return None, ""
    return wide.width, "the wide network is what splits are compared with"
