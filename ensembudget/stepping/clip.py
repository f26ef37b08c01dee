"""Gradient clipping by norm, for each member by itself."""

from collections.abc import Iterable

import torch
from torch import Tensor

TINY = 1e-6  # added to a norm, as torch's `clip_grad_norm_` does


@torch.no_grad()
def clip_(parameters: Iterable[Tensor], members: int, largest: float) -> None:
    """Scales each member's gradient down, in place, where its norm is above `largest`.

    The call does not synchronise with the device. A gradient that is not finite affects its own member only.

    Args:
        parameters: The parameters of a packed network, members stacked along dimension 0; those without
            gradients are skipped.
        members: The number of members.
        largest: The largest norm that a member's gradient, over all its parameters, may have.

    Source:
        Pascanu et al. 2013, arXiv:1211.5063, algorithm 1.

    Example:
        The first member's gradient is (3, 4), of norm 5; the second's (0.1, 0.2) is short enough.

        >>> weight, bias = torch.nn.Parameter(torch.zeros(2, 1)), torch.nn.Parameter(torch.zeros(2))
        >>> weight.grad, bias.grad = torch.tensor([[3.0], [0.1]]), torch.tensor([4.0, 0.2])
        >>> clip_([weight, bias], members=2, largest=1.0)
        >>> weight.grad.tolist(), bias.grad.tolist()
        ([[0.599...], [0.100...]], [0.799..., 0.200...])
    """
    rows = [p.grad.unflatten(0, (members, -1)) for p in parameters if p.grad is not None]
    if not rows:
        return
    each = [torch.linalg.vector_norm(row, dim=tuple(range(1, row.ndim))) for row in rows]
    norms = torch.linalg.vector_norm(torch.stack(each), dim=0)
    factors = (largest / (norms + TINY)).clamp(max=1.0)
    for row in rows:
        row.mul_(factors.view(-1, *[1] * (row.ndim - 1)))
