"""The share of samples whose true class is one of the two likeliest."""

from torch import Tensor

from ensembudget.metrics._base import Metric


def top_two(log_probs: Tensor, labels: Tensor) -> float:
    """Of the average (sample, class), against the true classes (sample,)."""
    return float((log_probs.topk(2).indices == labels[:, None]).any(1).double().mean())


metric = Metric(
    lambda one: top_two(one.log_probs, one.labels),
    heading="top two",
    rule="Top two: the share of samples whose true class is one of the two likeliest.",
)
