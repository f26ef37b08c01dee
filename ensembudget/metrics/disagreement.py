"""The share of samples on which two members predict different classes, mean over pairs."""

from torch import Tensor

from ._base import Metric


def disagreement(agreements: Tensor) -> float | None:
    """Share of samples on which two members predict different classes, mean over pairs.

    Args:
        agreements: Share of samples on which they predict the same class, (member, member).

    Returns:
        None for a single member.

    Example:
        >>> import torch
        >>> round(disagreement(torch.tensor([[1.0, 0.75], [0.75, 1.0]])), 12)
        0.25
    """
    members = len(agreements)
    if members == 1:
        return None
    pairs = members * (members - 1)
    return float(1 - (agreements.sum() - agreements.trace()) / pairs)


metric = Metric(
    lambda one: disagreement(one.agreements),
    "disagreement",
    form=".3f",
    rule="Disagreement is over pairs of members.",
    order=50,
    of_member=False,
    bounds=(0, 1),
)
