"""Batches cut from one tensor on the device: no files, no worker processes, no loop over samples."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..catalog import TASKS
from ..records import AnyTask, Recipe
from ..tasks._base import Draws, Feed
from .network import COMPUTE_DTYPES


def feed_of(recipe: Recipe, task: AnyTask, inputs: Tensor, device: torch.device | str = "cpu") -> Feed:
    """The feed of a cell.

    Args:
        recipe: The recipe of the cell.
        task: The task of its dataset.
        inputs: Its training inputs, (sample, ...), on the CPU.
        device: The device of its networks.
    """
    feed: Feed = TASKS[task.kind].feed(recipe, task, inputs)
    return feed.to(torch.device(device), COMPUTE_DTYPES[recipe.precision])


def still(count: int) -> Draws:
    """No augmentation: the samples in order."""
    return Draws(torch.arange(count))


def epoch_batches(
    inputs: Tensor, labels: Tensor, draws: Sequence[Draws], batch_size: int, feed: Feed
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch for all members of a pack, each in its own order with its own augmentation.

    Args:
        inputs: (sample, ...), on the device.
        labels: int64, (sample,) or (sample, position).
        draws: One a member.
        batch_size: Samples of each member in a step. The last batch may be smaller; a last batch of one
            sample is left out, since batch norm has no statistics of one.
        feed: Augments the samples and turns them into the network's input.

    Yields:
        Inputs of the packed network, and labels (member, sample) or (member, sample, position).
    """
    order = torch.stack([one.order for one in draws]).to(inputs.device)
    changes = {
        name: torch.stack([one.changes[name] for one in draws]).to(inputs.device) for name in draws[0].changes
    }
    for start in range(0, order.shape[1], batch_size):
        span = slice(start, start + batch_size)
        index = order[:, span]
        if start > 0 and index.shape[1] == 1:
            return
        chosen = inputs[index.flatten()]
        if changes:
            chosen = feed.augment(chosen, {k: some[:, span].flatten(0, 1) for k, some in changes.items()})
        yield feed(chosen.unflatten(0, index.shape)), labels[index]


def for_all(inputs: Tensor, members: int, feed: Feed) -> Tensor:
    """The input of a packed network that gives every member the same samples, (sample, ...)."""
    return feed(inputs.to(feed.device).expand(members, *inputs.shape))


def unpack_logits(logits: Tensor, members: int) -> Tensor:
    """(sample, members x class) to (member, sample, class); positions stay between sample and class.

    >>> unpack_logits(torch.zeros(5, 2 * 10), 2).shape, unpack_logits(torch.zeros(5, 2 * 7, 10), 2).shape
    (torch.Size([2, 5, 10]), torch.Size([2, 5, 7, 10]))
    """
    unpacked: Tensor = logits.unflatten(1, (members, -1)).transpose(0, 1)
    return unpacked
