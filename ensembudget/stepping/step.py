"""One step of every member of a pack.

A pack's weights are always those of one packed network, members stacked along dimension 0; a way to
step decides only how inputs go through it. So modes, histories and members know nothing of the way.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from ..catalog import WAYS
from ..packing.batches import unpack_logits
from ..records import Cell, Recipe, Stepping
from ..tasks._base import IGNORED
from .captured import Captured
from .clip import clip_
from .compiled import compiled_through, through
from .ways._base import Forward


class Observer(Protocol):
    """Watches steps: each member's loss and the gradients before the update, the weights after it.

    The loss is the one without label smoothing; gradients are those of training, before clipping.
    """

    def before_step(self, losses: Tensor, rate: float) -> None: ...

    def after_step(self) -> None: ...


StepPack = Callable[[Tensor, Tensor, Observer | None], Tensor]  # as `train_batch`, its first two bound


def forward_of(
    network: nn.Module, stepping: Stepping, members: int, single: Callable[[], nn.Module], recipe: Recipe
) -> Forward:
    """How a packed network's inputs go through it in training.

    Args:
        network: The packed network, on its device.
        stepping: The way.
        members: How many are packed.
        single: Makes the network of one member on the meta device.
        recipe: Gives the precision.

    Returns:
        Inputs of the packed network to its logits, as `Kind` has them, in float32 or wider.
    """
    device, mixed = next(network.parameters()).device.type, recipe.precision == "bfloat16"
    forward = WAYS[stepping.way].forward(network, single, members)
    return partial(compiled_through() if stepping.compiled else through, forward, device, mixed)


def batch_losses(forward: Forward, inputs: Tensor, labels: Tensor) -> Tensor:
    """Each member's mean loss on its own batch, (member,), nats; arguments as of `train_batch`."""
    return told_and_trained(forward, inputs, labels, smoothing=0.0)[0]


def told_and_trained(
    forward: Forward, inputs: Tensor, labels: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Each member's mean cross-entropy on its own batch, to report, and with smoothed labels, to train by.

    Both are (member,), in nats; the arguments are those of `train_batch`.

    Source:
        Szegedy et al. 2016, arXiv:1512.00567, section 7.
    """
    logits = unpack_logits(forward(inputs), len(labels))
    told = _means(logits, labels, 0.0)
    return told, _means(logits, labels, smoothing) if smoothing else told


def _means(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    each = F.cross_entropy(
        logits.flatten(0, -2),
        labels.flatten(),
        reduction="none",
        ignore_index=IGNORED,
        label_smoothing=smoothing,
    )
    losses: Tensor = each.unflatten(0, labels.shape)
    if labels.ndim == 2:
        means: Tensor = losses.mean(1)
    else:
        means = losses.sum((1, 2)) / (labels != IGNORED).sum((1, 2))
    return means


def train_batch(
    forward: Forward,
    optimizer: Optimizer,
    inputs: Tensor,
    labels: Tensor,
    observer: Observer | None = None,
    clip: Callable[[], None] = lambda: None,
    smoothing: float = 0.0,
) -> Tensor:
    """One step of every member on its own batch.

    Args:
        forward: A packed network in training mode, or another way through it.
        optimizer: Steps it.
        inputs: The input of the packed network.
        labels: int64, (member, sample) or (member, sample, position).
        observer: Sees the gradients before the step and the weights after it.
        clip: Clips the gradients, in place.
        smoothing: The label smoothing of training, from 0 to 1.

    Returns:
        Each member's mean loss before the step, (member,), nats, without smoothing.
    """
    told, trained = told_and_trained(forward, inputs, labels, smoothing)
    optimizer.zero_grad(set_to_none=True)
    # Members share no parameter: the sum's gradient is each one's own.
    trained.sum().backward()
    if observer:
        observer.before_step(told, optimizer.param_groups[0]["lr"])
    clip()
    optimizer.step()
    if observer:
        observer.after_step()
    losses: Tensor = told.detach()
    return losses


def stepper(
    network: nn.Module,
    optimizer: Optimizer,
    stepping: Stepping,
    members: int,
    single: Callable[[], nn.Module],
    cell: Cell,
) -> StepPack:
    """The function that steps a pack: `step(inputs, labels, observer)`, as `train_batch`.

    A batch smaller than the others, the last of an epoch, goes through grouped convolutions: nothing is
    compiled or captured for one step an epoch.
    """
    recipe = cell.recipe
    size = min(recipe.batch_size, cell.train_size)
    ordinary = forward_of(network, Stepping(), members, single, recipe)
    forward = forward_of(network, stepping, members, single, recipe)

    def clip() -> None:
        if recipe.clip is not None:
            clip_(network.parameters(), members, recipe.clip)

    def step(inputs: Tensor, labels: Tensor, observer: Observer | None = None) -> Tensor:
        chosen = forward if len(inputs) == size else ordinary
        return train_batch(chosen, optimizer, inputs, labels, observer, clip, recipe.label_smoothing)

    return Captured(step, optimizer, size) if stepping.captured else step
