"""AdamW: steps by the mean gradient over the root of the mean squared one, with decoupled weight decay.

Every operation is elementwise, so each member of a packed network takes the step it would take alone. The
recipe's `momentum` is Adam's beta1; epsilon is 1e-8. Weight decay acts on parameters of two or more
dimensions (matrices, convolutions, embeddings), not on biases or on the scales of norms.

Source: Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2. Decay of matrices alone: the code of Brown
et al. 2020, arXiv:2005.14165, as nanoGPT and big_vision have it.
"""

from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from ..families._invariance import Invariant
from ..records import Recipe
from ._base import Mode, not_of_spheres


def optimizer(network: nn.Module, recipe: Recipe, invariant: Invariant) -> Optimizer:
    """Two groups: decayed parameters, the invariant weights first among them, and the rest."""
    inside = {id(tensor) for tensor in invariant.tensors}
    others = [p for p in network.parameters() if p.requires_grad and id(p) not in inside]
    matrices = [*invariant.tensors, *(p for p in others if p.ndim > 1)]
    rest = [p for p in others if p.ndim < 2]
    groups = [
        {"params": some, "weight_decay": decay}
        for some, decay in ((matrices, recipe.weight_decay), (rest, 0.0))
        if some
    ]
    return AdamW(
        groups,
        lr=recipe.learning_rate,
        betas=(recipe.momentum, recipe.beta2),
        fused=True,
        capturable=next(network.parameters()).is_cuda,  # counts steps on the device, as a graph needs
    )


def effective(rate: float, squared: Tensor) -> Tensor:
    """The rate over the norm: the length of an Adam step hardly depends on that of the gradient."""
    return rate / squared.sqrt()


def faults(recipe: Recipe, invariant: Invariant) -> list[str]:
    return not_of_spheres(recipe, "adamw")


mode = Mode(optimizer, effective, faults, norm="other")
