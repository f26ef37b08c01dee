"""The share of samples whose likeliest class is the true one."""

from torch import Tensor

from ._base import Metric


def accuracy(log_probs: Tensor, labels: Tensor) -> float:
    """Share of samples whose likeliest class is the true one.

    Args:
        log_probs: (sample, class).
        labels: (sample,).

    Example:
        >>> import torch
        >>> accuracy(torch.tensor([[0.9, 0.1], [0.8, 0.2]]).log(), torch.tensor([0, 1]))
        0.5
    """
    return float((log_probs.argmax(1) == labels).double().mean())


metric = Metric(lambda one: accuracy(one.log_probs, one.labels), "accuracy", order=10, bounds=(0, 1))
