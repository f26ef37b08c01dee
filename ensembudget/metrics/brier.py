"""Brier score: squared distance of the probabilities from the truth."""

from torch import Tensor

from ._base import Metric


def brier(log_probs: Tensor, labels: Tensor) -> float:
    """Squared distance of the probabilities from the truth, summed over classes, mean over samples.

    Args:
        log_probs: (sample, class).
        labels: (sample,).

    Returns:
        From 0 to 2.

    Source: Brier 1950, in its original form, which sums over classes.

    Example:
        >>> import torch
        >>> round(brier(torch.tensor([[0.5, 0.5]], dtype=torch.float64).log(), torch.tensor([0])), 12)
        0.5
    """
    probs = log_probs.exp()
    of_label = probs.gather(1, labels[:, None])[:, 0]
    return float((probs.square_().sum(1) - 2 * of_label + 1).mean())


metric = Metric(
    lambda one: brier(one.log_probs, one.labels),
    "Brier",
    order=30,
    of_member=False,
    csv_only=True,
    bounds=(0, 2),
)
