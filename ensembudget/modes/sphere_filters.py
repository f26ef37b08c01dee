"""Training on many spheres: the norm of every filter is fixed, at one effective learning rate for all.

Each filter w with gradient g takes the step w - e |w|^2 g and is scaled back to its norm: it moves as at the
effective learning rate e on a unit sphere of its own. Each filter keeps the norm that it started with, which
makes no difference to a scale-invariant function.

The variant `fix_all_elr` in the code of Kodryan et al. 2022 counts otherwise. There every filter has the norm
rho / sqrt(F), with rho the norm of all together and F the number of filters in all invariant tensors, and its
step is w - e rho^2 g. On a unit sphere of its own that is a step at e F. So a rate e of that code is e x F
here, and nothing else differs. Convolutions of 4, 8, 16 and 32 filters have F = 60.

Source: Kodryan et al. 2022, arXiv:2209.03695, and its code; the conversion follows from the two rules, and
`tests/modes/test_modes.py` checks it step by step.
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
