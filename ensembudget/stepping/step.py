"""One step of every member of a pack.

A pack's weights are always those of one packed network, members stacked along dimension 0; a way to
step decides only how images go through it. So modes, histories and members know nothing of the way.
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
from .captured import Captured
from .compiled import compiled_through, through
from .ways._base import Forward


class Observer(Protocol):
    """Watches steps: each member's loss and the gradients before the update, the weights after it."""

    def before_step(self, losses: Tensor, rate: float) -> None: ...

    def after_step(self) -> None: ...


StepPack = Callable[[Tensor, Tensor, Observer | None], Tensor]  # as `train_batch`, its first two bound


def forward_of(
    network: nn.Module, stepping: Stepping, members: int, single: Callable[[], nn.Module], recipe: Recipe
) -> Forward:
    """How a packed network's images go through it in training.

    Args:
        network: The packed network, on its device.
        stepping: The way.
        members: How many are packed.
        single: Makes the network of one member on the meta device.
        recipe: Gives the precision.

    Returns:
        Images (sample, members x channel, row, column) to float logits (sample, members x class).
    """
    device, mixed = next(network.parameters()).device.type, recipe.precision == "bfloat16"
    forward = WAYS[stepping.way].forward(network, single, members)
    return partial(compiled_through() if stepping.compiled else through, forward, device, mixed)


def batch_losses(forward: Forward, images: Tensor, labels: Tensor) -> Tensor:
    """Each member's mean loss on its own batch, (member,), nats; arguments as of `train_batch`."""
    logits = unpack_logits(forward(images), len(labels))
    each = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    losses: Tensor = each.unflatten(0, labels.shape).mean(1)
    return losses


def train_batch(
    forward: Forward,
    optimizer: Optimizer,
    images: Tensor,
    labels: Tensor,
    observer: Observer | None = None,
) -> Tensor:
    """One step of every member on its own batch.

    Args:
        forward: A packed network in training mode, or another way through it.
        optimizer: Steps it.
        images: As the network computes, (sample, members x channel, row, column).
        labels: int64, (member, sample).
        observer: Sees the gradients before the step and the weights after it.

    Returns:
        Each member's mean loss before the step, (member,), nats.
    """
    each = batch_losses(forward, images, labels)
    optimizer.zero_grad(set_to_none=True)
    # Members share no parameter: the sum's gradient is each one's own.
    each.sum().backward()
    if observer:
        observer.before_step(each, optimizer.param_groups[0]["lr"])
    optimizer.step()
    if observer:
        observer.after_step()
    losses: Tensor = each.detach()
    return losses


def stepper(
    network: nn.Module,
    optimizer: Optimizer,
    stepping: Stepping,
    members: int,
    single: Callable[[], nn.Module],
    cell: Cell,
) -> StepPack:
    """The function that steps a pack: `step(images, labels, observer)`, as `train_batch`.

    A batch smaller than the others, the last of an epoch, goes through grouped convolutions: nothing is
    compiled or captured for one step an epoch.
    """
    recipe = cell.recipe
    size = min(recipe.batch_size, cell.train_size)
    ordinary = forward_of(network, Stepping(), members, single, recipe)
    forward = forward_of(network, stepping, members, single, recipe)

    def step(images: Tensor, labels: Tensor, observer: Observer | None = None) -> Tensor:
        chosen = forward if len(images) == size else ordinary
        return train_batch(chosen, optimizer, images, labels, observer)

    return Captured(step, optimizer, size) if stepping.captured else step
