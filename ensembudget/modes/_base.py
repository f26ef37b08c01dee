"""What a mode is: a way to update weights, and what it requires of a network and a recipe."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.optim import Optimizer

from ..families._invariance import Invariant
from ..records import Recipe


@dataclass(frozen=True)
class Mode:
    """One way to update weights.

    Attributes:
        optimizer: `optimizer(network, recipe, invariant)` returns an optimiser that steps every member of
            a packed network as it would step that member alone. The trainer multiplies the `lr` of its
            groups by the schedule's factor. The first group's rate is that of the scale-invariant weights.
            What it keeps from step to step lies in its `state`, as torch's own optimisers have it, or
            follows from the initial weights: a checkpoint holds nothing else of it.
        effective: `effective(rate, squared)` is the effective learning rate of the invariant weights,
            (member,), from the first group's rate and their squared norm, (member,).
        faults: `faults(recipe, invariant)` says why this recipe cannot train a network with these
            invariant weights, one sentence a reason.
        norm: The norm of the invariant weights is "free" where gradients raise it and weight decay lowers
            it, as the law of periods assumes, "fixed" where every step restores it, and "other" where it
            moves by no such rule.
    """

    optimizer: Callable[[nn.Module, Recipe, Invariant], Optimizer]
    effective: Callable[[float, Tensor], Tensor]
    faults: Callable[[Recipe, Invariant], list[str]]
    norm: Literal["free", "fixed", "other"]


def not_of_spheres(recipe: Recipe, mode: str) -> list[str]:
    """Why a recipe of a sphere cannot be one of this mode, one sentence a reason."""
    if recipe.effective_learning_rate is None:
        return []
    return [
        f"effective_learning_rate {recipe.effective_learning_rate:g} belongs to mode 'sphere'. Mode {mode!r}"
        " takes a learning_rate, and the weights' norm decides the effective one. Leave it out, or change"
        " the mode."
    ]


def not_of_adam(recipe: Recipe, mode: str) -> list[str]:
    """Why a recipe of Adam cannot be one of this mode, one sentence a reason."""
    usual = Recipe.model_fields["beta2"].default
    if recipe.beta2 == usual:
        return []
    return [
        f"recipe.beta2 = {recipe.beta2:g} belongs to mode 'adamw', and mode {mode!r} has no mean of squared"
        f' gradients. Set mode = "adamw", or recipe.beta2 = {usual:g}.'
    ]
