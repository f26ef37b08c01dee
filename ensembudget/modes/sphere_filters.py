"""Training on many spheres: every filter kept at its own norm, all at one effective learning rate.

Source: the variant `fix_all_elr` in the code of Kodryan et al. 2022, arXiv:2209.03695, which gives all
filters one common norm; here each keeps its own, which a scale-invariant function cannot tell.
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
            f"mode 'sphere_filters' normalises each filter, and {len(together)} of the {len(invariant.names)}"
            f" invariant tensors are invariant only with others (as {together[0]}, of a residual stream)."
            " Use mode 'sphere'."
        )
    return found


mode = Mode(optimizer, _sphere.effective, faults, norm="fixed")
