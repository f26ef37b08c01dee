"""Scale-invariant weights: which ones a network has, and the two degrees of invariance that families offer.

Batch norm removes the scale of its input, so the weights of a layer before it can be scaled without
changing the logits in training mode. Each layer declares how: `FILTER` where each filter may be scaled
alone, or the name of a group of tensors that must be scaled together, such as those that add to one
residual stream.

    practical   batch norm has affine parameters, and the last layer is trained
    full        batch norm has none, and the last layer is frozen at a fixed norm: all that is trained is
                scale-invariant

Source: Lobacheva et al. 2021, arXiv:2106.15739, and its code.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ._layers import BatchNorm2d, Conv2d, Linear

FILTER = "filter"
DEGREES = ("practical", "full")
HEAD_NORM = 10.0  # of the weight of a frozen last layer


def batch_norm(channels: int, members: int, degree: str) -> BatchNorm2d:
    """Batch norm for a degree of invariance."""
    return BatchNorm2d(channels, members=members, affine=degree == "practical")


def head(c_in: int, classes: int, members: int, degree: str, *, bias: bool = True) -> Linear:
    """The last layer for a degree of invariance."""
    frozen = HEAD_NORM if degree == "full" else None
    return Linear(c_in, classes, members=members, bias=bias, frozen_norm=frozen)


@dataclass(frozen=True)
class Invariant:
    """The scale-invariant tensors of a packed network.

    Attributes:
        names: The tensors' names.
        groups: How each may be scaled: `FILTER`, or a name shared by the tensors that must be scaled
            together.
        tensors: The parameters, members stacked along dimension 0.
        members: How many members the network has.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    tensors: tuple[nn.Parameter, ...]
    members: int

    @property
    def parameters(self) -> int:
        """How many scale-invariant parameters each member has."""
        return sum(tensor.numel() for tensor in self.tensors) // self.members

    @property
    def gradients(self) -> list[Tensor]:
        """The gradient of every tensor, after a backward pass."""
        return [tensor.grad for tensor in self.tensors if tensor.grad is not None]

    def squares(self, tensors: Sequence[Tensor]) -> Tensor:
        """Sum of squares of each tensor and member, (tensor, member)."""
        return torch.stack(self.norms(tensors)).view(len(tensors), self.members).square()

    def norms(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Norm of each tensor: (member,) each, or a scalar where there is one member, which is faster."""
        if self.members == 1:
            return list(torch._foreach_norm(list(tensors)))
        rows = [self._rows(tensor) for tensor in tensors]
        return [torch.linalg.vector_norm(row, dim=tuple(range(1, row.ndim))) for row in rows]

    def dots(self, ones: Sequence[Tensor], others: Sequence[Tensor]) -> Tensor:
        """Inner products of each tensor and member, (tensor, member)."""
        products = torch._foreach_mul(list(ones), list(others))
        return torch.stack([self._rows(p).sum(tuple(range(1, p.ndim + 1))) for p in products])

    def flat(self, tensors: Sequence[Tensor]) -> Tensor:
        """A copy of all tensors, one row a member, (member, parameter)."""
        return torch.cat([self._rows(tensor).flatten(1) for tensor in tensors], 1)

    def _rows(self, tensor: Tensor) -> Tensor:
        """(members x output, ...) to (member, output, ...)."""
        rows: Tensor = tensor.unflatten(0, (self.members, -1))
        return rows


def invariant_of(network: nn.Module, members: int = 1) -> Invariant:
    """The scale-invariant tensors of a network, possibly none."""
    found = [
        (f"{name}.weight", module.invariance, module.weight)
        for name, module in network.named_modules()
        if isinstance(module, Conv2d | Linear) and module.invariance
    ]
    names, groups, tensors = zip(*found, strict=True) if found else ((), (), ())
    return Invariant(names, groups, tensors, members)
