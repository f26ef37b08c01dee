"""Steps on spheres: scale-invariant weights at a fixed effective learning rate and a fixed norm."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..families._invariance import Invariant
from ..records import Recipe

# Squared norms that are kept, one tensor each, in a shape that multiplies it.
Squares = Callable[[Invariant, Sequence[Tensor]], list[Tensor]]


def squares_in_all(invariant: Invariant, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Of all tensors of a member together."""
    total = invariant.squares(tensors).sum(0)
    return [
        total.repeat_interleave(len(tensor) // invariant.members).view(-1, *[1] * (tensor.ndim - 1))
        for tensor in tensors
    ]


def squares_of_filters(invariant: Invariant, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Of each filter by itself."""
    return [tensor.square().sum(tuple(range(1, tensor.ndim)), keepdim=True) for tensor in tensors]


class Sphere(Optimizer):
    """Gradient descent by lr times the squared norm, then back to the norm; plain for the others.

    The first group holds the invariant weights and its `lr` is the effective learning rate. A
    gradient at right angles to the weights is then a step of lr on the unit sphere, whatever the
    norm. The second group holds what else is trained.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, invariant: Invariant, squares: Squares) -> None:
        assert recipe.effective_learning_rate is not None
        inside = {id(tensor) for tensor in invariant.tensors}
        others = [p for p in network.parameters() if p.requires_grad and id(p) not in inside]
        groups: list[dict[str, Any]] = [
            {"params": list(invariant.tensors), "lr": recipe.effective_learning_rate},
            {"params": others, "lr": recipe.learning_rate},
        ]
        super().__init__(groups[: 2 if others else 1], {})
        self._invariant, self._squares = invariant, squares
        with torch.no_grad():
            self._kept = squares(invariant, invariant.tensors)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        sphere, *plain = self.param_groups
        tensors = sphere["params"]
        for tensor, kept in zip(tensors, self._kept, strict=True):
            tensor.addcmul_(tensor.grad, kept, value=-sphere["lr"])
        for tensor, kept, now in zip(
            tensors, self._kept, self._squares(self._invariant, tensors), strict=True
        ):
            tensor.mul_((kept / now).sqrt_())
        for group in plain:
            torch._foreach_add_(
                group["params"], [tensor.grad for tensor in group["params"]], alpha=-group["lr"]
            )


def effective(rate: float, squared: Tensor) -> Tensor:
    """On a sphere the rate is effective as it is."""
    return torch.full_like(squared, rate)


def faults(recipe: Recipe, invariant: Invariant) -> list[str]:
    """Why this cannot be trained on a sphere, a sentence each."""
    found = []
    if not invariant.names:
        found.append(
            "a sphere is for scale-invariant weights, and this network has none: no batch norm follows any."
            " Give the family an option that brings some (vgg: batch_norm = true), or use mode 'bn_wd'."
        )
    if recipe.effective_learning_rate is None:
        found.append("a sphere needs recipe.effective_learning_rate, say 1e-3, and none is given.")
    return found + [
        f"recipe.{name} = {value:g} together with a sphere: the norm is fixed, and its step has none."
        f" Set {name} = 0, or recipe.base = \"kodryan2022\", or use mode 'bn_wd'."
        for name, value in (("weight_decay", recipe.weight_decay), ("momentum", recipe.momentum))
        if value
    ]
