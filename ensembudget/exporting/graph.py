"""The whole ensemble as one module: its feed, members, averaging, temperature, disagreement."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.special import entr
from torch import Generator, Tensor, nn

from ..catalog import DTYPES, TASKS
from ..families._build import describe, materialise
from ..families._copies import MemberCopies
from ..packing.batches import for_all, unpack_logits
from .card import Blueprint
from .inputs._base import Batch

AT_ONCE = 2**16  # feed sizes that are evaluated at one time, of all members and samples together

State = Mapping[str, Tensor]  # one member's tensors, named as in a network of one member

# Samples as a dataset stores them, (sample, ...), to probabilities (sample, class) and disagreement
# (sample,). Where every position is predicted, these are (sample, position, class) and (sample, position).
Runner = Callable[[Tensor], tuple[Tensor, Tensor]]


class EnsemblePrediction(NamedTuple):
    """What an ensemble says of some samples.

    Attributes:
        probabilities: (sample, class), float32.
        disagreement: The share of pairs of members that predict different classes, (sample,), float32; NaN
            where there is one member.
    """

    probabilities: NDArray[np.float32]
    disagreement: NDArray[np.float32]

    @property
    def entropy(self) -> NDArray[np.float32]:
        """Of the probabilities, in nats, (sample,): 0 where one class is certain, log(classes) at most.

        >>> EnsemblePrediction(np.array([[1.0, 0.0], [0.5, 0.5]]), np.zeros(2)).entropy.round(3)
        array([0.   , 0.693])
        """
        found: NDArray[np.float32] = entr(self.probabilities).sum(-1)
        return found


class EnsembleGraph(nn.Module):
    """A `Runner` of the whole ensemble.

    Args:
        network: Of all members, as a family builds it, in evaluation mode.
        blueprint: Gives the feed, the number of members and the temperature.
    """

    def __init__(self, network: nn.Module, blueprint: Blueprint) -> None:
        super().__init__()
        self.network, self.members = network, blueprint.members
        self.feed, self.temperature = blueprint.feed, blueprint.temperature

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        logits = unpack_logits(self.network(for_all(samples, self.members, self.feed)), self.members)
        logs = logits.log_softmax(-1)
        highest = logs.amax(0)  # so that no mean of probabilities becomes zero
        average = highest + (logs - highest).exp().mean(0).log()
        return (average / self.temperature).softmax(-1), disagreements(logits)


def disagreements(logits: Tensor) -> Tensor:
    """The share of pairs of members that predict different classes.

    Args:
        logits: (member, sample, ..., class).

    Returns:
        (sample, ...), float32; NaN where there is one member.

    Example:
        Two of three members say class 1, so two of three pairs differ.

        >>> disagreements(torch.tensor([[[0.0, 1.0]], [[0.0, 1.0]], [[1.0, 0.0]]]))
        tensor([0.6667])
    """
    members, classes = logits.shape[0], logits.shape[-1]
    if members == 1:
        return torch.full_like(logits[0, ..., 0], torch.nan)
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
        """The graph as `torch.export` traces it: any number of samples, and no place on this machine."""
        task = self.blueprint.task
        some, _ = TASKS[task.kind].random(task, 2, Generator().manual_seed(0))
        free = {0: torch.export.Dim("batch", min=1)}
        if least := self.blueprint.inputs.shortest:
            free[1] = torch.export.Dim("position", min=least, max=some.shape[1])
        program = torch.export.export(self.graph, (some,), dynamic_shapes=(free,))
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
def in_parts(runner: Runner, batch: Batch, blueprint: Blueprint) -> EnsemblePrediction:
    """What a runner says of a batch, a part of it at a time.

    Args:
        runner: As a format reads it.
        batch: At least one sample.
        blueprint: Of the ensemble.

    Returns:
        `probabilities` (answer, class) and `disagreement` (answer,), where a sample has one answer unless the
        batch says which positions are wanted.
    """
    count = max(1, AT_ONCE // (blueprint.members * blueprint.feed.size))
    probabilities, disagreement = [], []
    for first in range(0, len(batch.inputs), count):
        answers = runner(batch.inputs[first : first + count])
        if batch.places is not None:
            rows, positions = batch.places.T
            here = (first <= rows) & (rows < first + count)
            answers = (
                answers[0][rows[here] - first, positions[here]],
                answers[1][rows[here] - first, positions[here]],
            )
        probabilities.append(answers[0])
        disagreement.append(answers[1])
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
