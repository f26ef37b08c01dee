"""A budget of five splits, and members of every width whose errors are known."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ensembudget.prediction.budgets import Budgeted, Candidate
from ensembudget.prediction.policy import Policy
from ensembudget.prediction.proposals import TrainableWidth
from ensembudget.scoring.covariance import ScoredPool, scored_pool

from .planes import COARSE, EACH, pool_of

SAMPLES, CLASSES = 300, 4
WIDTHS = (4, 6, 8, 11, 16)
MOST = {4: 32, 6: 16, 8: 8, 11: 4, 16: 2}
CANDIDATES = [Candidate(n, k, EACH * k * k) for n, k in ((1, 16), (2, 11), (4, 8), (8, 6), (16, 4))]
BUDGET = Budgeted(EACH * 256, "parameters", CANDIDATES)
GRID = float(sum(count * k * k for k, count in MOST.items()))  # a member of width k costs k^2 operations
SHARP = {"tolerance": 1e-6, "confidence": 1 - 1e-9}  # never sure

# Errors of their own average out over members; errors that all share only fall with the width.
KINDS = {
    "many members": (lambda k: 0.7, lambda k: 2.0),
    "one wide network": (lambda k: 12 / k, lambda k: 0.5),
    "nearly even": (lambda k: 0.7 + 4 / k, lambda k: 1.2 + 4 / k),
}


class Trained(NamedTuple):
    """Members of every width: labels, errors that all members share, and errors of each its own."""

    labels: np.ndarray
    logits: dict[int, np.ndarray]

    def known(self, counts: Mapping[int, int]) -> list[ScoredPool]:
        """The first members of every width, scored."""
        return [
            scored_pool(pool_of(self.logits[k][: counts[k]], self.labels, k)) for k in WIDTHS if counts[k]
        ]


def world(shared, own, seed=0) -> Trained:
    rng = np.random.default_rng(seed)
    labels, errors = rng.integers(CLASSES, size=SAMPLES), rng.normal(size=(SAMPLES, CLASSES))
    signal = 2 * np.eye(CLASSES)[labels]
    logits = {
        k: signal + shared(k) * errors + own(k) * rng.normal(size=(count, SAMPLES, CLASSES))
        for k, count in MOST.items()
    }
    return Trained(labels, {k: values.astype(np.float32) for k, values in logits.items()})


def widths_of(trained: Mapping[int, int] | None = None, most=MOST) -> list[TrainableWidth]:
    counts = trained or dict.fromkeys(WIDTHS, 0)
    return [TrainableWidth(k, EACH * k * k, float(k * k), counts[k], most[k]) for k in WIDTHS]


def policy(spend=GRID, forms=COARSE, draws=300, **bounds) -> Policy:
    """With one form of few exponents and few draws: a search in a second."""
    return Policy(BUDGET, spend, GRID, forms=forms, draws=draws, **bounds)


def asked(trained, known=(), *, left=GRID, most=MOST, **bounds):
    """What is decided where so many members of each width are trained, and so much is left to spend."""
    return policy(left, **bounds).decide(known, widths_of(trained, most), spent=0.0)
