"""Arithmetic on packed weights, member by member: members lie side by side along dimension 0."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Generator, Tensor, nn

Weights = dict[str, Tensor]


def trained(network: nn.Module) -> Weights:
    """The parameters that are trained, by name: the network's own, not copies."""
    return {name: tensor.detach() for name, tensor in network.named_parameters() if tensor.requires_grad}


def copied(weights: Mapping[str, Tensor]) -> Weights:
    return {name: tensor.clone() for name, tensor in weights.items()}


def within(place: str, weights: Mapping[str, Tensor]) -> Weights:
    """Names of one place in a collector's state, as `of_place` finds them.

    >>> within("mean", {"weight": torch.ones(1)})
    {'mean/weight': tensor([1.])}
    """
    return {f"{place}/{name}": tensor for name, tensor in weights.items()}


def of_place(place: str, state: Mapping[str, Tensor]) -> Weights:
    """What `within` put there, in its order; nothing where there is nothing.

    >>> of_place("mean", {"mean/weight": torch.ones(1), "count": torch.ones(1)})
    {'weight': tensor([1.])}
    """
    prefix = f"{place}/"
    return {name.removeprefix(prefix): one for name, one in state.items() if name.startswith(prefix)}


def numbered(several: Iterable[Mapping[str, Tensor]]) -> Weights:
    """Several networks' tensors in a collector's state, in order, as `by_number` finds them."""
    return {place: one for i, some in enumerate(several) for place, one in within(str(i), some).items()}


def by_number(state: Mapping[str, Tensor]) -> list[Weights]:
    """What `numbered` put there.

    >>> by_number(numbered([{"weight": torch.zeros(1)}, {"weight": torch.ones(1)}]))
    [{'weight': tensor([0.])}, {'weight': tensor([1.])}]
    """
    count = len({name.partition("/")[0] for name in state})
    return [of_place(str(i), state) for i in range(count)]


def put(weights: Mapping[str, Tensor], network: nn.Module) -> None:
    """Makes these the network's trained parameters."""
    for name, tensor in trained(network).items():
        tensor.copy_(weights[name])


def by_member(values: Tensor, tensor: Tensor) -> Tensor:
    """One number a member, (member,), in a shape that multiplies a packed tensor, and of its type.

    >>> by_member(torch.tensor([2.0, 3.0]), torch.ones(4, 1)).flatten().tolist()
    [2.0, 2.0, 3.0, 3.0]
    """
    rows = values.repeat_interleave(len(tensor) // len(values))
    return rows.view(-1, *[1] * (tensor.ndim - 1)).to(tensor.device, tensor.dtype)


def norms(tensors: Iterable[Tensor], members: int) -> Tensor:
    """Each member's Euclidean norm over all tensors together, (member,), float64, on the CPU.

    >>> norms([torch.tensor([3.0, 1.0]), torch.tensor([[4.0], [0.0]])], 2).tolist()
    [5.0, 1.0]
    """
    each = [tensor.unflatten(0, (members, -1)).flatten(1).double().square().sum(1) for tensor in tensors]
    return torch.stack([one.cpu() for one in each]).sum(0).sqrt()


def normals(weights: Mapping[str, Tensor], generators: Sequence[Generator]) -> Weights:
    """Standard normal numbers in the shapes of packed weights, each member's from its own generator.

    They are drawn on the CPU in float32, so that they are the same on every device.
    """
    found = {}
    for name, tensor in weights.items():
        shape = (len(tensor) // len(generators), *tensor.shape[1:])
        drawn = torch.cat([torch.randn(shape, generator=one) for one in generators])
        found[name] = drawn.to(tensor.device, tensor.dtype)
    return found
