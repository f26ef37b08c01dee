"""Where probes work: points of one network's parameter space, evaluated and descended from side by side.

A point is a vector of all parameters of one network, in the order of its tensors, (parameter,). Points
are packed like members: several go through one network with grouped layers.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from ..datasets._data import Data
from ..families._build import describe, materialise
from ..packing.batches import epoch_batches, feed_of
from ..packing.network import COMPUTE_DTYPES, single
from ..packing.parts import Parts, parts_of
from ..packing.streams import stream
from ..records import AnyTask, Cell, Point
from ..tasks._base import Feed
from ..training.evaluation import evaluate_logits
from ..training.history import loss_and_error
from ..training.statistics import refit_statistics

State = Mapping[str, Tensor]  # a network's parameters and buffers by name

TOGETHER = 8  # points in one packed network


@dataclass(frozen=True)
class Site:
    """Trained members of one cell, and the samples that their losses are of.

    Attributes:
        cell: Their cell.
        data: Its dataset.
        parts: Its samples.
        states: Each member's parameters and buffers.
        key: Names the random streams, the same for the same probe.
        device: Where networks compute.
    """

    cell: Cell
    data: Data
    parts: Parts
    states: tuple[State, ...]
    key: str
    device: torch.device

    @property
    def task(self) -> AnyTask:
        return self.data.task

    @cached_property
    def feed(self) -> Feed:
        return feed_of(self.cell.recipe, self.task, self.parts.inputs, self.device)

    @cached_property
    def sizes(self) -> dict[str, torch.Size]:
        """The shape of every parameter of one network."""
        return {name: one.shape for name, one in single(self.cell, self.task).named_parameters()}

    @property
    def dimension(self) -> int:
        """Parameters of one network."""
        return sum(shape.numel() for shape in self.sizes.values())

    def stream(self, purpose: str, number: int = 0) -> Generator:
        return stream(self.key, purpose, number)

    def point(self, state: State) -> Tensor:
        """The point of a network, (parameter,), on the CPU."""
        return torch.cat([state[name].flatten() for name in self.sizes]).to(COMPUTE_DTYPES[self._precision])

    @property
    def points(self) -> Tensor:
        """The members' points, (member, parameter)."""
        return torch.stack([self.point(state) for state in self.states])

    def network(self, points: Tensor) -> nn.Module:
        """A packed network at some points, (point, parameter); its batch norm has no statistics yet."""
        network = self._packed(len(points))
        load(network, points)
        return network

    def members(self) -> Iterator[tuple[nn.Module, int]]:
        """All members as trained, in packed networks in evaluation mode, and how many members each holds."""
        for first in range(0, len(self.states), TOGETHER):
            some = self.states[first : first + TOGETHER]
            network = self._packed(len(some))
            network.load_state_dict(
                {
                    name: some[0][name] if one.ndim == 0 else torch.cat([state[name] for state in some])
                    for name, one in network.state_dict().items()
                }
            )
            yield network.eval(), len(some)

    def _packed(self, count: int) -> nn.Module:
        network = describe(
            self.cell.family, self.cell.width, self.task, members=count, options=self.cell.options
        )
        materialise(network, [Generator().manual_seed(0)] * count, self.device)
        return network.to(COMPUTE_DTYPES[self._precision]).to(memory_format=torch.channels_last)

    @property
    def _precision(self) -> str:
        return self.cell.recipe.precision

    def batches(self, count: int, generator: Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch of training batches, the same for `count` points: augmented as the recipe says."""
        inputs, labels = self.parts.inputs.to(self.device), self.parts.labels.to(self.device)
        drawn = [self.feed.draw(len(labels), generator)] * count
        return epoch_batches(inputs, labels, drawn, self.cell.recipe.batch_size, self.feed)


def site_of(
    cell: Cell, data: Data, weights: Sequence[Mapping[str, NDArray[Any]]], key: str, device: str = "cpu"
) -> Site:
    """A site at trained members.

    Args:
        cell: Of all of them.
        data: The cell's dataset.
        weights: Each member's parameters and buffers, by the names of its network's tensors.
        key: Names the random streams.
        device: A torch device.
    """
    shapes = {name: one.shape for name, one in single(cell, data.task).state_dict().items()}
    # Counters of batches are scalars, which files keep as arrays of one.
    states = tuple(
        {name: torch.from_numpy(one).reshape(shapes[name]) for name, one in each.items()} for each in weights
    )
    return Site(cell, data, parts_of(cell, data.arrays), states, key, torch.device(device))


@torch.no_grad()
def load(network: nn.Module, points: Tensor) -> None:
    """Moves a packed network to some points, (point, parameter)."""
    count = len(points)
    tensors = list(network.parameters())
    parts = points.to(tensors[0]).split([one.numel() // count for one in tensors], 1)
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.reshape(tensor.shape))


def gradients(network: nn.Module, count: int) -> Tensor:
    """The gradient at every point of a packed network, (point, parameter); 0 where nothing is trained."""
    rows = [
        torch.zeros_like(one).view(count, -1) if one.grad is None else one.grad.reshape(count, -1)
        for one in network.parameters()
    ]
    return torch.cat(rows, 1)


@torch.no_grad()
def evaluate(
    site: Site, points: Tensor, places: Sequence[float], on_point: Callable[[int], None] = lambda count: None
) -> list[Point]:
    """Loss and error at points, batch norm's statistics gathered anew at each on the training samples.

    Args:
        site: Where.
        points: (point, parameter).
        places: What each one's `at` is.
        on_point: Called with the number of points that are done.

    Returns:
        One a point, in order.
    """
    parts, found = site.parts, list[Point]()
    for network, count in _networks(site, points):
        train, test = (
            loss_and_error(evaluate_logits(network, asked, site.feed, count), asked.labels)
            for asked in (parts.fitted, parts.test)
        )
        found += [
            Point(
                at=places[len(found) + i],
                train_loss=finite(train[0][i]),
                train_error=float(train[1][i]),
                test_nll=finite(test[0][i]),
                test_error=float(test[1][i]),
            )
            for i in range(count)
        ]
        on_point(len(found))
    return found


@torch.no_grad()
def train_losses(site: Site, points: Tensor) -> Tensor:
    """The training loss alone, as `evaluate` has it, (point,), nats."""
    asked = site.parts.fitted
    return torch.cat(
        [
            loss_and_error(evaluate_logits(network, asked, site.feed, count), asked.labels)[0]
            for network, count in _networks(site, points)
        ]
    )


def _networks(site: Site, points: Tensor) -> Iterator[tuple[nn.Module, int]]:
    """Packed networks at some points after another, and how many are in each."""
    for some in points.split(TOGETHER):
        network = site.network(some)
        refit_statistics(network, site.parts.inputs, site.feed, len(some), site.cell.recipe.batch_size)
        yield network, len(some)


def finite(value: Any) -> float | None:
    """A number, or None where it is not finite: JSON has no other."""
    number = float(value)
    return number if math.isfinite(number) else None
