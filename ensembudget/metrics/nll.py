"""Negative log-likelihood of the averaged probabilities, in nats per sample."""

import math

from torch import Tensor

from ._base import Metric


def label_losses(log_probs: Tensor, labels: Tensor) -> Tensor:
    """Each sample's negative log-likelihood, nats: (..., sample, class) to (..., sample).

    >>> import torch
    >>> label_losses(torch.tensor([[0.0, -2.0]]), torch.tensor([1]))
    tensor([2.])
    """
    index = labels.expand(log_probs.shape[:-1])[..., None]
    return -log_probs.gather(-1, index)[..., 0]


metric = Metric(
    lambda one: float(label_losses(one.log_probs, one.labels).mean()),
    "NLL",
    rule="NLL: of the averaged probabilities, nats per sample.",
    order=20,
    bounds=(0, math.inf),
)
