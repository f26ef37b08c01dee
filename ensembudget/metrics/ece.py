"""Expected calibration error of the likeliest class, over 15 bins of equal width."""

import torch
from torch import Tensor

from ._base import Metric

BINS = 15


def ece(log_probs: Tensor, labels: Tensor, bins: int = BINS) -> float:
    """Expected calibration error of the likeliest class, over bins of equal width (low, high].

    Args:
        log_probs: (sample, class).
        labels: (sample,).
        bins: How many.

    Source: Guo et al. 2017, arXiv:1706.04599.

    Example:
        >>> round(ece(torch.tensor([[0.8, 0.2]] * 2, dtype=torch.float64).log(), torch.tensor([0, 1])), 12)
        0.3
    """
    highest, predicted = log_probs.max(1)
    confidence, right = highest.exp(), (predicted == labels).double()
    # A confidence on an edge belongs below it, whichever way it was rounded.
    place = (confidence * bins - 1e-9).ceil().long().clamp(1, bins) - 1
    gap = torch.zeros(bins, dtype=torch.float64).index_add_(0, place, confidence.double() - right)
    return float(gap.abs().sum() / len(labels))


metric = Metric(
    lambda one: ece(one.log_probs, one.labels),
    "ECE",
    rule=f"ECE has {BINS} bins.",
    order=40,
    of_member=False,
    bounds=(0, 1),
)
