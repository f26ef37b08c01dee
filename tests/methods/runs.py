"""Members of a method, and what a test of one method needs to follow its training."""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from ensembudget.families._build import describe
from ensembudget.methods._base import Method
from ensembudget.methods._last import Last
from ensembudget.methods._options import resolve_method
from ensembudget.packing.parts import parts_of
from ensembudget.records import Cell, Run
from ensembudget.tasks.images import scale_of


def runs_of(cell: Cell, method: str, seeds=(0, 1), **options) -> list[Run]:
    found = cell.model_copy(update={"method": method, "method_options": resolve_method(method, options)})
    return [Run(cell=found, seed=seed) for seed in seeds]


class Watching(Last):
    """Keeps the network's tensors at the end of every epoch, packed as they are."""

    def __init__(self, seen: list[dict[str, torch.Tensor]]) -> None:
        self._seen = seen

    def keep(self, epoch: int, network: torch.nn.Module) -> None:
        assert epoch == len(self._seen)
        self._seen.append({name: tensor.clone() for name, tensor in network.state_dict().items()})


def watcher(seen: list[dict[str, torch.Tensor]], rate: Callable[[int, float], float]) -> Method:
    """A method that only watches, at the rates of another: `rate(epoch, factor)`."""
    return Method(
        collect=lambda recipe, options: Watching(seen),
        rate=lambda recipe, options, epoch, factor: rate(epoch, factor),
    )


def network_of(cell: Cell, state, data) -> torch.nn.Module:
    """A network of one member with these tensors, in evaluation mode."""
    network = describe(cell.family, cell.width, data.task, options=cell.options).to_empty(device="cpu")
    network.load_state_dict({name: torch.as_tensor(one) for name, one in state.items()})
    return network.eval()


def images_of(cell: Cell, data) -> tuple[torch.Tensor, torch.Tensor]:
    """Validation and test images as a network takes them."""
    parts = parts_of(cell, data.arrays)
    scale = scale_of(cell.recipe.normalisation, parts.inputs)
    validation, test = (
        scale(some).permute(0, 3, 1, 2) for some in (parts.validation.inputs, parts.test.inputs)
    )
    return validation, test


@torch.no_grad()
def logits_of(network: torch.nn.Module, images: torch.Tensor) -> np.ndarray:
    """In double precision from here on."""
    return network(images).double().numpy()


def pairs(count: int) -> Iterator[tuple[int, int]]:
    return ((i, k) for i in range(count) for k in range(i))
