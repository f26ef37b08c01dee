"""The packed network of several members."""

from collections.abc import Sequence

import torch
from torch import nn

from ..families._build import describe, materialise
from ..records import AnyTask, Cell, MemoryLayout, Run
from .streams import stream

# Of weights, and of all else that is not rounded; bfloat16 rounds the products alone.
COMPUTE_DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.float32}
MEMORY_FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


def build_network(
    runs: Sequence[Run], task: AnyTask, device: torch.device, layout: MemoryLayout = "channels_last"
) -> nn.Module:
    """The packed network of some runs of one cell, initialised, each member from its own stream."""
    cell = runs[0].cell
    network = describe(cell.family, cell.width, task, members=len(runs), options=cell.options)
    materialise(network, [stream(run.stream_key, "weights") for run in runs], device)
    return network.to(COMPUTE_DTYPES[cell.recipe.precision]).to(memory_format=MEMORY_FORMATS[layout])


def single(cell: Cell, task: AnyTask) -> nn.Module:
    """One member's network, on the meta device."""
    return describe(cell.family, cell.width, task, options=cell.options)
