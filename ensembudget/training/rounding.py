"""Logits of a trained network whose weights are stored in another dtype."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from ..catalog import DTYPES
from ..datasets._data import Data
from ..families._attention import TiedOutput
from ..families._build import materialise
from ..families._layers import Linear
from ..packing.batches import feed_of, for_all
from ..packing.network import COMPUTE_DTYPES, single
from ..packing.parts import parts_of
from ..records import Cell
from .evaluation import evaluate_logits

CALIBRATION_SAMPLES = 512  # training samples whose layer inputs fix the ranges
STEPS = 255  # of an input in 8 bits


def rounded_logits(
    cell: Cell, weights: Mapping[str, NDArray[Any]], data: Data, device: str = "cpu"
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a network says after its weights were stored in the cell's dtype and read back.

    Args:
        cell: In the dtype.
        weights: Of the trained network, by name.
        data: The cell's dataset.
        device: A torch device.

    Returns:
        Validation and test logits, (sample, class), float32; not finite where a number was beyond the dtype.
    """
    part, parts = DTYPES[cell.dtype], parts_of(cell, data.arrays)
    network = materialise(single(cell, data.task), [Generator().manual_seed(0)], device)
    network.to(COMPUTE_DTYPES[cell.recipe.precision])
    numbers = {name: torch.from_numpy(array) for name, array in weights.items()}
    network.load_state_dict(part.decode(part.encode(numbers)))
    feed = feed_of(cell.recipe, data.task, parts.inputs, device)
    if part.rounds_inputs:
        round_inputs(network, for_all(parts.inputs[:CALIBRATION_SAMPLES], 1, feed))
    validation, test = (
        evaluate_logits(network, asked, feed, 1)[0].numpy() for asked in (parts.validation, parts.test)
    )
    return validation, test


@torch.no_grad()
def round_inputs(network: nn.Module, inputs: Tensor) -> None:
    """Rounds the inputs of every layer with a weight to 8 bits from now on, over the ranges seen on samples.

    The range of a layer is from the lowest to the highest of all its inputs, and holds zero, as in static
    quantization by torch's `MinMaxObserver`. Values beyond it are clipped to its ends.

    Args:
        network: Of one member.
        inputs: As the network takes them.
    """
    ranges: dict[str, tuple[float, float]] = {}

    def observe(name: str, values: Tensor) -> None:
        ranges[name] = min(0.0, float(values.min())), max(0.0, float(values.max()))

    watching = [
        layer.register_forward_pre_hook(lambda _, given, name=name: observe(name, given[0]))
        for name, layer in _layers(network)
    ]
    network.eval()
    network(inputs)
    for one in watching:
        one.remove()
    for name, layer in _layers(network):
        low, high = ranges[name]
        layer.register_forward_pre_hook(
            lambda _, given, low=low, high=high: (in_8_bits(given[0], low, high), *given[1:])
        )


def in_8_bits(values: Tensor, low: float, high: float) -> Tensor:
    """Values rounded to 256 equal steps from `low` to `high`, one of which is zero.

    >>> in_8_bits(torch.tensor([-0.3, 0.0, 0.49, 127.6, 300.0]), 0.0, 255.0)
    tensor([  0.,   0.,   0., 128., 255.])
    """
    step = (high - low) / STEPS or 1.0
    zero = round(-low / step)
    return ((values / step).round() + zero).clamp(0, STEPS).sub(zero).mul(step)


def _layers(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, Linear, TiedOutput)
    return ((name, module) for name, module in network.named_modules() if isinstance(module, kinds))
