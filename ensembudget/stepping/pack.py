"""Members of one cell, ready to be stepped side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from ..catalog import MODES
from ..families._invariance import Invariant, invariant_of
from ..packing.batches import epoch_batches, feed_of
from ..packing.network import build_network, single
from ..packing.parts import Parts
from ..records import AnyTask, Run, Stepping
from ..tasks._base import Feed
from .step import StepPack, stepper


@dataclass(frozen=True)
class Pack:
    """Members of one cell on their device, with all that a step needs.

    Attributes:
        runs: Which members.
        network: Their packed network.
        invariant: Its scale-invariant tensors.
        optimizer: As the cell's mode asks.
        step: `step(inputs, labels, observer)`, as `train_batch`.
        feed: Augments samples and makes them the network's input.
        inputs: Training samples, (sample, ...).
        labels: int64, (sample,) or (sample, position).
    """

    runs: Sequence[Run]
    network: nn.Module
    invariant: Invariant
    optimizer: Optimizer
    step: StepPack
    feed: Feed
    inputs: Tensor
    labels: Tensor

    def batches(self, generators: Sequence[Generator]) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch's batches, every member's drawn by its own generator."""
        draws = [self.feed.draw(len(self.labels), one) for one in generators]
        return epoch_batches(self.inputs, self.labels, draws, self.runs[0].cell.recipe.batch_size, self.feed)


def assemble(runs: Sequence[Run], parts: Parts, task: AnyTask, device: str, stepping: Stepping) -> Pack:
    """A pack of new members, each initialised from its own stream."""
    cell, recipe, place = runs[0].cell, runs[0].cell.recipe, torch.device(device)
    network = build_network(runs, task, place, stepping.layout)
    invariant = invariant_of(network, len(runs))
    optimizer = MODES[cell.mode].optimizer(network, recipe, invariant)
    return Pack(
        runs=runs,
        network=network,
        invariant=invariant,
        optimizer=optimizer,
        step=stepper(network, optimizer, stepping, len(runs), lambda: single(cell, task), cell),
        feed=feed_of(recipe, task, parts.inputs, place),
        inputs=parts.inputs.to(place),
        labels=parts.labels.to(place),
    )
