"""Orders of channels that leave a network's logits as they are: found in the network, and applied to weights.

The hidden channels of a layer may come in any order if all that reads them follows. What else leaves the
logits alone is no subject here: signs and scales that one layer undoes for another, and the scale that
batch norm takes away.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from ..arrays import Integers
from ..errors import SymmetryError
from ..records import AnyTask
from .following import follow

Values = TypeVar("Values", Tensor, NDArray[Any])


@dataclass(frozen=True)
class ChannelAxis:
    """Where channels lie in a tensor.

    Attributes:
        name: The tensor's.
        axis: The dimension.
        inner: Positions of each channel that lie side by side: 1, or as many as a flattened map has pixels.
            Position p along the axis is of channel p // inner, modulo the number of channels.
    """

    name: str
    axis: int
    inner: int = 1


@dataclass(frozen=True)
class Channels:
    """Channels that may come in any order, which is one in all these axes.

    Attributes:
        size: How many.
        axes: Where they lie, in the order of the network's tensors.
    """

    size: int
    axes: tuple[ChannelAxis, ...]


@dataclass(frozen=True)
class Symmetries:
    """The channels of a network whose order is free.

    Attributes:
        channels: In the order in which the network's tensors name them.
        shapes: Of all tensors of a state, by name.
        parameters: The names of those that are trained or could be: all but buffers.
    """

    channels: tuple[Channels, ...]
    shapes: Mapping[str, tuple[int, ...]]
    parameters: tuple[str, ...]


def symmetries(network: nn.Module, task: AnyTask) -> Symmetries:
    """The channels of a network whose order is free, as its own operations show.

    Args:
        network: Of one member, as `packing.network.single` makes it, or with memory. It is followed in
            evaluation mode and left as it was.
        task: Its images and classes; the order of both stays.

    Raises:
        SymmetryError: An operation on channels that is not understood: its module is named.

    Example:
        >>> from ensembudget.families._build import describe
        >>> from ensembudget.records import Task
        >>> task = Task(10, 3, 8)
        >>> found = symmetries(describe("convnet", 4, task), task)
        >>> [channels.size for channels in found.channels]
        [4, 8, 16, 32]
        >>> [(one.name, one.axis) for one in found.channels[-1].axes if one.name.endswith("weight")]
        [('features.11.weight', 0), ('features.12.weight', 0), ('head.weight', 1)]
    """
    ties, labels = follow(network, task)
    state = network.state_dict()
    axes: dict[int, list[ChannelAxis]] = {}
    sizes: dict[int, int] = {}
    for name in state:
        for dim, axis in enumerate(labels.get(name, ())):
            factors = ties.resolve(axis)
            for place, (size, key) in enumerate(factors):
                if key is not None:
                    inner = math.prod(factor.size for factor in factors[place + 1 :])
                    axes.setdefault(key, []).append(ChannelAxis(name, dim, inner))
                    sizes[key] = size
    return Symmetries(
        tuple(Channels(sizes[key], tuple(there)) for key, there in axes.items()),
        {name: tuple(tensor.shape) for name, tensor in state.items()},
        tuple(name for name, _ in network.named_parameters()),
    )


def permute(state: Mapping[str, Values], found: Symmetries, orders: Sequence[Integers]) -> dict[str, Values]:
    """The same network with its channels in other orders: parameters, and batch norm's buffers.

    Args:
        state: A member's tensors or arrays by name.
        found: Its network's symmetries.
        orders: For each of its `channels` the old positions in their new order, (channel,).

    Returns:
        New tensors or arrays where something moved, and the same ones elsewhere.

    Raises:
        SymmetryError: Tensors of another network, or orders that are not of these channels.

    Example:
        >>> found = Symmetries((Channels(3, (ChannelAxis("bias", 0),)),), {"bias": (3,)}, ("bias",))
        >>> permute({"bias": np.array([5, 6, 7])}, found, [np.array([2, 0, 1])])
        {'bias': array([7, 5, 6])}
    """
    check(state, found)
    if len(orders) != len(found.channels):
        raise SymmetryError(
            f"{len(orders)} orders are given for a network with {len(found.channels)} groups of channels."
            " Each group needs its own."
        )
    moved = dict(state)
    for channels, order in zip(found.channels, orders, strict=True):
        if not np.array_equal(np.sort(order), np.arange(channels.size)):
            raise SymmetryError(
                f"an order of {channels.size} channels must have each of 0 to {channels.size - 1} once:"
                f" {np.asarray(order).tolist()} does not."
            )
        moved.update(reorder(moved, channels, order))
    return moved


def reorder(state: Mapping[str, Values], channels: Channels, order: Integers) -> dict[str, Values]:
    """Those tensors that hold these channels, which are put in another order."""
    moved: dict[str, Values] = {}
    for where in channels.axes:
        old = moved.get(where.name, state[where.name])
        moved[where.name] = split(old, where, channels.size)[_along(where, order)].reshape(old.shape)
    return moved


def split(values: Values, where: ChannelAxis, size: int) -> Values:
    """The axis as three, (..., outer, channel, inner, ...), so that channels are dimension axis + 1."""
    shape: tuple[int, ...] = tuple(values.shape)
    return values.reshape((*shape[: where.axis], -1, size, where.inner, *shape[where.axis + 1 :]))


def _along(where: ChannelAxis, order: Integers) -> tuple[Any, ...]:
    return (*[slice(None)] * (where.axis + 1), order)


def check(state: Mapping[str, Values], found: Symmetries, called: str = "the state") -> None:
    """Refuses tensors that are not those of the network.

    Raises:
        SymmetryError: A tensor that is missing, too many, or of another shape.
    """
    missing, further = (
        [n for n in found.shapes if n not in state],
        [n for n in state if n not in found.shapes],
    )
    if missing or further:
        lacks, has = f"lacks {', '.join(missing)}", f"has {', '.join(further)}, which the network lacks"
        told = " and ".join(part for part, there in ((lacks, missing), (has, further)) if there)
        raise SymmetryError(f"{called} is not of this network: it {told}.")
    for name, shape in found.shapes.items():
        if tuple(state[name].shape) != shape:
            raise SymmetryError(
                f"{called} is not of this network: {name!r} has shape {tuple(state[name].shape)}, and the"
                f" network's has {shape}. Only networks of one cell can be aligned."
            )
