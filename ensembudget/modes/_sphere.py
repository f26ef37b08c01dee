"""Steps on spheres: scale-invariant weights at a fixed effective learning rate and a fixed norm."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..families._invariance import Invariant
from ..records import Recipe
from ._base import not_of_adam

# The squared norms that a step restores: one tensor for each weight, of a shape that broadcasts to it.
Squares = Callable[[Invariant, Sequence[Tensor]], list[Tensor]]


def squares_in_all(invariant: Invariant, tensors: Sequence[Tensor]) -> list[Tensor]:
    """The squared norm of all of a member's tensors together."""
    total = invariant.squares(tensors).sum(0)
    return [
        total.repeat_interleave(len(tensor) // invariant.members).view(-1, *[1] * (tensor.ndim - 1))
        for tensor in tensors
    ]


def squares_of_filters(invariant: Invariant, tensors: Sequence[Tensor]) -> list[Tensor]:
    """The squared norm of each filter."""
    return [tensor.square().sum(tuple(range(1, tensor.ndim)), keepdim=True) for tensor in tensors]


class Sphere(Optimizer):
    """Gradient descent that scales the invariant weights back to their norm after every step.

    The first group holds the invariant weights, and its `lr` is the effective learning rate: their step
    is `lr` times the squared norm that is kept (of all together, or of each filter), which equals a step of
    `lr` on the unit sphere, whatever that norm.
    The second group holds all other trained parameters, which take plain steps.
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
    """On a sphere the first group's rate is the effective learning rate."""
    return torch.full_like(squared, rate)


def faults(recipe: Recipe, invariant: Invariant) -> list[str]:
    """Why this recipe cannot train such a network on a sphere, one sentence a reason."""
    found = []
    if not invariant.names:
        found.append(
            "a sphere needs scale-invariant weights, and this network has none: batch norm follows no layer."
            " Choose options or a family with batch norm (for vgg, batch_norm = true), or use mode 'bn_wd' or"
            " 'adamw'."
        )
    if recipe.effective_learning_rate is None:
        found.append("a sphere needs recipe.effective_learning_rate, say 1e-3, and none is given.")
    if recipe.clip is not None:
        found.append(
            f"recipe.clip = {recipe.clip:g}: a sphere's rate is that of whole gradients, and a shortened one"
            " would step at another. Leave it out, or use mode 'bn_wd'."
        )
    found += not_of_adam(recipe, "sphere")
    return found + [
        f"recipe.{name} = {value:g}: a step on a sphere has no {name.replace('_', ' ')}, for the norm is"
        f" fixed. Set {name} = 0, or recipe.base = \"kodryan2022\", or use mode 'bn_wd'."
        for name, value in (("weight_decay", recipe.weight_decay), ("momentum", recipe.momentum))
        if value
    ]
