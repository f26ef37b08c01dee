"""Weight matching: the orders of a network's channels in which its weights come closest to another network's.

Source: Ainsworth, Hayase & Srinivasa 2022, arXiv:2209.04836, algorithm 1. All weights, biases and affine
parameters of batch norm count alike; its running statistics do not.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Generator, Tensor

from ..arrays import Array, Integers
from ..errors import SymmetryError
from .symmetry import ChannelAxis, Channels, Symmetries, Values, check, permute, reorder, split

LEAST_GAIN = 1e-12  # of the product of both networks' norms: less is rounding

Doubles = dict[str, Array]


@dataclass(frozen=True)
class Alignment(Generic[Values]):
    """A network brought close to another by the order of its channels.

    Attributes:
        state: The network, in its new orders; its logits are what they were.
        orders: For each group of channels the old positions in their new order, (channel,).
        objectives: The inner product of both networks' parameters: at first, and after each order that
            raised it.
        distances: The squared distance between both networks' parameters, before and after.
    """

    state: dict[str, Values]
    orders: tuple[Integers, ...]
    objectives: tuple[float, ...]
    distances: tuple[float, float]


def align(
    reference: Mapping[str, Values], state: Mapping[str, Values], found: Symmetries, generator: Generator
) -> Alignment[Values]:
    """The same network with its channels in the orders that bring its weights closest to a reference's.

    One group of channels after another, the groups in random order, gets the order that is best with all
    others held: a linear assignment. It ends when no group gains, which is an optimum for each group by
    itself, not for all together; another generator may find a better or a worse one. Where both axes of one
    tensor hold the same channels, its share is quadratic in their order: the assignment then takes one axis
    at a time, and counts only if the objective rises.

    Args:
        reference: Tensors or arrays of a member, by name.
        state: Those of another member of the same cell.
        found: The symmetries of their network.
        generator: Draws the order of the groups, anew for every round.

    Raises:
        SymmetryError: Tensors that are not of this network, or weights that are not finite.

    Example:
        >>> found = Symmetries((Channels(3, (ChannelAxis("bias", 0),)),), {"bias": (3,)}, ("bias",))
        >>> one, other = {"bias": np.array([1.0, 2.0, 3.0])}, {"bias": np.array([3.0, 1.0, 2.0])}
        >>> aligned = align(one, other, found, Generator())
        >>> aligned.state, aligned.objectives, aligned.distances
        ({'bias': array([1., 2., 3.])}, (11.0, 14.0), (6.0, 0.0))
    """
    ours, theirs = _weights(reference, found, "the reference"), _weights(state, found, "the state")
    groups = [_of_parameters(channels, ours) for channels in found.channels]
    orders = [np.arange(channels.size) for channels in groups]
    before = _squared_distance(ours, theirs)
    least = LEAST_GAIN * math.sqrt(_dot(ours, ours) * _dot(theirs, theirs))
    objectives = [_dot(ours, theirs)]
    gained = True
    while gained:
        gained = False
        for index in torch.randperm(len(groups), generator=generator).tolist():
            _, order = linear_sum_assignment(_products(ours, theirs, groups[index]), maximize=True)
            moved = reorder(theirs, groups[index], order)
            gain = _dot(ours, moved) - _dot(ours, {name: theirs[name] for name in moved})
            if gain > least:
                gained = True
                theirs.update(moved)
                orders[index] = orders[index][order]
                objectives.append(objectives[-1] + gain)
    return Alignment(
        permute(state, found, orders),
        tuple(orders),
        tuple(objectives),
        (before, _squared_distance(ours, theirs)),
    )


def _weights(state: Mapping[str, Values], found: Symmetries, called: str) -> Doubles:
    """The parameters in double precision."""
    check(state, found, called)
    weights = {name: _doubles(state[name]) for name in found.parameters}
    for name, values in weights.items():
        if not np.isfinite(values).all():
            raise SymmetryError(
                f"{called} cannot be aligned: {name!r} has values that are not finite. Did its training"
                " diverge?"
            )
    return weights


def _doubles(values: Values) -> Array:
    array = values.detach().cpu().double().numpy() if isinstance(values, Tensor) else values
    return np.asarray(array, np.float64)


def _of_parameters(channels: Channels, weights: Doubles) -> Channels:
    """The channels without the axes of buffers."""
    return Channels(channels.size, tuple(where for where in channels.axes if where.name in weights))


def _products(ours: Doubles, theirs: Doubles, channels: Channels) -> Array:
    """Inner products of our channels and theirs, (ours, theirs), summed over all that holds them."""
    total = np.zeros((channels.size, channels.size))
    for where in channels.axes:
        one, other = (_rows(weights[where.name], where, channels.size) for weights in (ours, theirs))
        total += one @ other.T
    return total


def _rows(values: Array, where: ChannelAxis, size: int) -> Array:
    """(channel, all else)."""
    return np.moveaxis(split(values, where, size), where.axis + 1, 0).reshape(size, -1)


def _dot(ours: Doubles, theirs: Doubles) -> float:
    """Over the tensors that the second has."""
    return math.fsum(float(np.vdot(ours[name], values)) for name, values in theirs.items())


def _squared_distance(ours: Doubles, theirs: Doubles) -> float:
    return math.fsum(float(np.square(ours[name] - values).sum()) for name, values in theirs.items())
