"""Training on many spheres: the norm of every filter is fixed, at one effective learning rate for all.

Source: the variant `fix_all_elr` in the code of Kodryan et al. 2022, arXiv:2209.03695. It gives all filters
one common norm; here each keeps its own, which makes no difference to a scale-invariant function.
"""

from torch import nn
from torch.optim import Optimizer

from ..families._invariance import FILTER, Invariant
from ..records import Recipe
from . import _sphere
from ._base import Mode


def optimizer(network: nn.Module, recipe: Recipe, invariant: Invariant) -> Optimizer:
    return _sphere.Sphere(network, recipe, invariant, _sphere.squares_of_filters)


def faults(recipe: Recipe, invariant: Invariant) -> list[str]:
    together = [n for n, g in zip(invariant.names, invariant.groups, strict=True) if g != FILTER]
    found = _sphere.faults(recipe, invariant)
    if together:
        found.append(
            f"mode 'sphere_filters' fixes the norm of each filter, and {len(together)} of the"
            f" {len(invariant.names)} invariant tensors may be scaled only together with others, as"
            f" {together[0]} in a residual stream. Use mode 'sphere'."
        )
    return found


mode = Mode(optimizer, _sphere.effective, faults, norm="fixed")
