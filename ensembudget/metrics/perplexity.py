"""Perplexity of predicted tokens: exp(NLL), the number of equally likely tokens with that NLL."""

import math

from ._base import Ensemble, Metric
from .nll import label_losses

LARGEST = 700.0  # nats: exp of about 709.8 and more overflows a float


def perplexity(nll: float) -> float | None:
    """The number of equally likely tokens that have this NLL; None if it overflows a float.

    Args:
        nll: Nats per token.

    Example:
        >>> round(perplexity(math.log(50)), 9)
        50.0
    """
    return math.exp(nll) if nll < LARGEST else None


def score(one: Ensemble) -> float | None:
    return perplexity(float(label_losses(one.log_probs, one.labels).mean()))


metric = Metric(
    score,
    "perplexity",
    form=".2f",
    order=22,
    bounds=(1, math.inf),
    tasks=frozenset(("language_model", "translation")),
)
