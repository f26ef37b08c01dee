"""Layers that hold several members: n networks side by side are one network with n times the channels."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

Initialiser = Callable[[Tensor, Tensor | None, Generator], None]


def torch_default(weight: Tensor, bias: Tensor | None, generator: Generator) -> None:
    """Weight and bias uniform within 1/sqrt(fan in): PyTorch's default for convolutions and linear layers."""
    bound = 1 / math.sqrt(weight[0].numel())
    weight.uniform_(-bound, bound, generator=generator)
    if bias is not None:
        bias.uniform_(-bound, bound, generator=generator)


def he_fan_out(weight: Tensor, bias: Tensor | None, generator: Generator) -> None:
    """Weight normal with variance 2 / (kernel area x output channels), bias zero: as in the papers' VGG."""
    weight.normal_(0, math.sqrt(2 / (weight[0, 0].numel() * weight.shape[0])), generator=generator)
    if bias is not None:
        bias.zero_()


def initialise(
    weight: Tensor, bias: Tensor | None, rule: Initialiser, generators: Sequence[Generator]
) -> None:
    """Draws the weights of members stacked along dimension 0, each by its own generator, in place."""
    members = len(generators)
    biases = bias.chunk(members) if bias is not None else (None,) * members
    for one, its_bias, generator in zip(weight.chunk(members), biases, generators, strict=True):
        # Drawn on the CPU, so that a member starts the same on every device.
        drawn = torch.empty(one.shape), None if its_bias is None else torch.empty(its_bias.shape)
        rule(*drawn, generator)
        one.copy_(drawn[0])
        if its_bias is not None and drawn[1] is not None:
            its_bias.copy_(drawn[1])


class Conv2d(nn.Conv2d):
    """A "same" convolution for each member: (sample, members x c_in, row, column) to c_out.

    `invariance` declares how its weight is scale-invariant; see `_invariance.py`.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        *,
        members: int,
        stride: int = 1,
        bias: bool = True,
        invariance: str = "",
        rule: Initialiser = torch_default,
    ) -> None:
        super().__init__(
            members * c_in, members * c_out, kernel, stride, padding=kernel // 2, groups=members, bias=bias
        )
        self.invariance = invariance
        self._rule = rule

    def initialise(self, generators: Sequence[Generator]) -> None:
        initialise(self.weight, self.bias, self._rule, generators)

    def forward(self, x: Tensor) -> Tensor:
        if self.kernel_size == (1, 1) and self.stride != (1, 1):
            # The same numbers as a strided 1x1 convolution. oneDNN's own, with AVX2, channels last and
            # fewer than 8 input channels, writes its weight gradient past the end of its memory:
            # uxlfoundation/oneDNN issue 6035, seen in torch 2.14.
            rows, columns = self.stride
            return F.conv2d(x[..., ::rows, ::columns], self.weight, self.bias, groups=self.groups)
        return super().forward(x)


class Linear(nn.Module):
    """A linear layer for each member: (sample, members x c_in) to (sample, members x c_out).

    With `frozen_norm` it is not trained, and each member's weight starts at this norm and keeps it.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        *,
        members: int,
        bias: bool = True,
        invariance: str = "",
        frozen_norm: float | None = None,
        rule: Initialiser = torch_default,
    ) -> None:
        super().__init__()
        self.members, self.invariance, self._frozen_norm = members, invariance, frozen_norm
        self._rule = rule
        trained = frozen_norm is None
        self.weight = nn.Parameter(torch.empty(members * c_out, c_in), requires_grad=trained)
        self.bias = nn.Parameter(torch.empty(members * c_out), requires_grad=trained) if bias else None

    def initialise(self, generators: Sequence[Generator]) -> None:
        initialise(self.weight, self.bias, self._rule, generators)
        if self._frozen_norm is not None:
            for one in self.weight.chunk(self.members):
                one.mul_(self._frozen_norm / one.norm())

    def forward(self, x: Tensor) -> Tensor:
        if self.members == 1:
            return F.linear(x, self.weight, self.bias)
        stacked = x.unflatten(1, (self.members, -1)).transpose(0, 1)
        weight = self.weight.unflatten(0, (self.members, -1)).transpose(1, 2)
        if self.bias is None:
            return torch.bmm(stacked, weight).transpose(0, 1).flatten(1)
        bias = self.bias.unflatten(0, (self.members, 1, -1))
        return torch.baddbmm(bias, stacked, weight).transpose(0, 1).flatten(1)


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm of all members' channels. Its statistics are per channel, so members do not mix."""

    def __init__(self, channels: int, *, members: int, affine: bool = True) -> None:
        super().__init__(members * channels, affine=affine)


class BatchNorm1d(nn.BatchNorm1d):
    """Batch norm of features without rows and columns."""

    def __init__(self, channels: int, *, members: int, affine: bool = True) -> None:
        super().__init__(members * channels, affine=affine)


class Dropout(nn.Module):
    """Dropout with masks from one generator a member, which the trainer sets; without, from torch's own.

    Members lie side by side along dimension `dim`.
    """

    def __init__(self, *, members: int, dim: int = 1) -> None:
        super().__init__()
        self.rate, self._dim = 0.0, dim
        self.generators: Sequence[Generator | None] = (None,) * members

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        # Drawn on the CPU, where the generators are, so that masks are the same on every device.
        shape = list(x.shape)
        shape[self._dim] //= len(self.generators)
        keep = [torch.rand(shape, generator=g) >= self.rate for g in self.generators]
        return x * torch.cat(keep, self._dim).to(x.device, x.dtype) / (1 - self.rate)


def set_dropout(
    network: nn.Module, rate: float, generators: Sequence[Generator | None] | None = None
) -> None:
    """Sets the rate of every dropout layer and, where given, its members' generators."""
    for module in network.modules():
        if isinstance(module, Dropout):
            module.rate = rate
            module.generators = generators or module.generators
