"""The whole ensemble as one module: normalisation, members, averaging, temperature, disagreement."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from ..catalog import DTYPES
from ..families._build import describe, materialise
from ..families._copies import MemberCopies
from ..packing.batches import unpack_logits
from ..tasks.images import Scale, pack_images
from .card import Blueprint

AT_ONCE = 2**16  # pixels that are evaluated at one time, of all members together

State = Mapping[str, Tensor]  # one member's tensors, named as in a network of one member

# uint8 images (sample, row, column, channel) to probabilities (sample, class) and disagreement (sample,).
Runner = Callable[[Tensor], tuple[Tensor, Tensor]]


class EnsemblePrediction(NamedTuple):
    """What an ensemble says of some images.

    Attributes:
        probabilities: (sample, class), float32.
        disagreement: The share of pairs of members that predict different classes, (sample,), float32; NaN
            where there is one member.
    """

    probabilities: NDArray[np.float32]
    disagreement: NDArray[np.float32]


class EnsembleGraph(nn.Module):
    """Maps uint8 images (sample, row, column, channel) to probabilities and disagreement.

    Args:
        network: Of all members, as a family builds it, in evaluation mode.
        blueprint: Gives the number of members, the normalisation and the temperature.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, blueprint: Blueprint) -> None:
        super().__init__()
        self.network, self.members = network, blueprint.members
        self.temperature = blueprint.temperature
        self.register_buffer("mean", torch.tensor(blueprint.mean))
        self.register_buffer("std", torch.tensor(blueprint.std))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        pixels = Scale(self.mean, self.std)(images)
        packed = pack_images(pixels.expand(self.members, *pixels.shape))
        logits = unpack_logits(self.network(packed), self.members)
        logs = logits.log_softmax(-1)
        highest = logs.amax(0)  # so that no mean of probabilities becomes zero
        average = highest + (logs - highest).exp().mean(0).log()
        return (average / self.temperature).softmax(-1), disagreements(logits)


def disagreements(logits: Tensor) -> Tensor:
    """The share of pairs of members that predict different classes.

    Args:
        logits: (member, sample, class).

    Returns:
        (sample,), float32; NaN where there is one member.

    Example:
        Two of three members say class 1, so two of three pairs differ.

        >>> disagreements(torch.tensor([[[0.0, 1.0]], [[0.0, 1.0]], [[1.0, 0.0]]]))
        tensor([0.6667])
    """
    members, _, classes = logits.shape
    if members == 1:
        return torch.full_like(logits[0, :, 0], torch.nan)
    votes = F.one_hot(logits.argmax(-1), classes).sum(0).float()
    return 1 - (votes * (votes - 1)).sum(-1) / (members * (members - 1))


class SideBySide(nn.Module):
    """Networks of one member each, called as one network of all: for families that cannot be packed."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, packed: Tensor) -> Tensor:
        parts = packed.chunk(len(self.networks), 1)
        return torch.cat([one(part) for one, part in zip(self.networks, parts, strict=True)], 1)


@dataclass(frozen=True)
class WeightedEnsemble:
    """A blueprint with its members' weights, as they are stored in its dtype."""

    blueprint: Blueprint
    stored: Sequence[State]

    @cached_property
    def states(self) -> list[State]:
        """What the networks compute with, in float32."""
        return [DTYPES[self.blueprint.dtype].decode(one) for one in self.stored]

    @cached_property
    def graph(self) -> EnsembleGraph:
        """In evaluation mode, without gradients."""
        network = _packed(self.blueprint, self.states)
        return EnsembleGraph(network, self.blueprint).eval().requires_grad_(False)

    @cached_property
    def program(self) -> torch.export.ExportedProgram:
        """The graph as `torch.export` traces it: any number of images, and no place on this machine."""
        size, channels = self.blueprint.image_size, len(self.blueprint.mean)
        some = torch.zeros(2, size, size, channels, dtype=torch.uint8)
        batch = torch.export.Dim("batch", min=1)
        program = torch.export.export(self.graph, (some,), dynamic_shapes={"images": {0: batch}})
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # file names, which take more room than thin weights
        return program


def state_shapes(blueprint: Blueprint, members: int = 1) -> dict[str, Tensor]:
    """The tensors of a network of some members, on the meta device, by name."""
    return dict(_without_counters(_described(blueprint, members)).state_dict())


def stored_shapes(blueprint: Blueprint) -> dict[str, Tensor]:
    """The tensors of one member as its dtype stores them, on the meta device, by name."""
    return DTYPES[blueprint.dtype].encode(state_shapes(blueprint))


def state_of(weights: Mapping[str, NDArray[np.generic]], names: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A stored member's tensors that an evaluation needs; what was trained in float64 becomes float32."""
    tensors = {name: torch.from_numpy(weights[name]) for name in names}
    return {name: one.float() if one.is_floating_point() else one for name, one in tensors.items()}


@torch.no_grad()
def in_parts(runner: Runner, images: Tensor, members: int) -> EnsemblePrediction:
    """What a runner says of images, a part of them at a time.

    Args:
        runner: As a format reads it.
        images: uint8, (sample, row, column, channel), at least one.
        members: How many networks see each image.
    """
    count = max(1, AT_ONCE // (members * images.shape[1] * images.shape[2]))
    probabilities, disagreement = zip(*(runner(part) for part in images.split(count)), strict=True)
    return EnsemblePrediction(torch.cat(probabilities).numpy(), torch.cat(disagreement).numpy())


def _packed(blueprint: Blueprint, states: Sequence[State]) -> nn.Module:
    """The members as one network, or side by side where a family's ordinary torch layers hold one alone."""
    stacked = {name: _stacked([state[name] for state in states]) for name in states[0]}
    wanted = state_shapes(blueprint, len(states))
    # Copies are run one by one anyway, and a graph of whole networks has no views of stacked weights.
    as_one = not isinstance(_described(blueprint, len(states)), MemberCopies)
    if as_one and {name: one.shape for name, one in wanted.items()} == {
        n: one.shape for n, one in stacked.items()
    }:
        return _network(blueprint, len(states), stacked)
    return SideBySide([_network(blueprint, 1, state) for state in states])


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(tensors)) if tensors[0].ndim else tensors[0]


def _network(blueprint: Blueprint, members: int, state: State) -> nn.Module:
    network = _described(blueprint, members)
    materialise(network, [Generator().manual_seed(0)] * members)  # for what is no part of the state
    network.load_state_dict(dict(state))  # batch norm brings its own counters to a state without them
    return _without_counters(network)


def _described(blueprint: Blueprint, members: int) -> nn.Module:
    options = blueprint.options
    return describe(blueprint.family, blueprint.width, blueprint.task, members=members, options=options)


def _without_counters(network: nn.Module) -> nn.Module:
    """Batch norm without its count of batches, which no evaluation uses."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            module.num_batches_tracked = None
    return network
