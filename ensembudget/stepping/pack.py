"""Members of one cell, ready to be stepped side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from ..catalog import MODES
from ..families._invariance import Invariant, invariant_of
from ..packing.batches import Scale, draw, epoch_batches, scale_of
from ..packing.network import COMPUTE_DTYPES, build_network, single
from ..packing.parts import Parts
from ..records import Run, Stepping, Task
from .step import StepPack, stepper


@dataclass(frozen=True)
class Pack:
    """Members of one cell on their device, with all that a step needs.

    Attributes:
        runs: Which members.
        network: Their packed network.
        invariant: Its scale-invariant tensors.
        optimizer: As the cell's mode asks.
        step: `step(images, labels, observer)`, as `train_batch`.
        scale: Normalises images.
        images: Training images, uint8, (sample, row, column, channel).
        labels: int64, (sample,).
    """

    runs: Sequence[Run]
    network: nn.Module
    invariant: Invariant
    optimizer: Optimizer
    step: StepPack
    scale: Scale
    images: Tensor
    labels: Tensor

    def batches(self, generators: Sequence[Generator]) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch's batches, every member's drawn by its own generator."""
        recipe = self.runs[0].cell.recipe
        draws = [draw(len(self.labels), recipe.crop_padding, recipe.flip, g) for g in generators]
        return epoch_batches(
            self.images, self.labels, draws, recipe.batch_size, recipe.crop_padding, self.scale
        )


def assemble(runs: Sequence[Run], parts: Parts, task: Task, device: str, stepping: Stepping) -> Pack:
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
        scale=scale_of(recipe.normalisation, parts.images).to(place, COMPUTE_DTYPES[recipe.precision]),
        images=parts.images.to(place),
        labels=parts.labels.to(place),
    )
