"""Checkpoints: all that the rest of a pack's training depends on, taken between two epochs and put back.

Random streams are functions of run, purpose and epoch, and what an optimiser or a recorder knows of initial
weights is made anew from them. So a checkpoint holds tensors and a few numbers, and no generator.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import safetensors.torch
import torch
from torch import Tensor

from ..errors import reason
from ..methods._base import Collector, Resumable
from ..methods._packed import of_place, within
from ..stepping.pack import Pack
from .history import Recorder

SHARE = 0.01  # of training that checkpoints may take: none is due before the last is so small a part

Tensors = dict[str, Tensor]


class Checkpoint(NamedTuple):
    """A pack between two epochs.

    Attributes:
        epoch: How many are done.
        facts: What is no tensor, as JSON values.
        tensors: All tensors, as safetensors.
    """

    epoch: int
    facts: dict[str, Any]
    tensors: bytes


class Checkpoints(Protocol):
    """Where the checkpoints of one pack are kept."""

    def found(self) -> Iterator[Checkpoint]:
        """Those that are there and intact, the newest first."""

    def keep(self, checkpoint: Checkpoint) -> None:
        """Keeps one durably, and only then drops earlier ones. A disk that refuses ends no training."""

    def refuse(self, checkpoint: Checkpoint, why: str) -> None:
        """Puts one away from which training cannot go on."""


@dataclass
class Underway:
    """A pack on its way through the epochs.

    Attributes:
        pack: As its last epoch left it.
        collector: Of its method.
        recorder: Of its histories, where they are asked for.
        losses: Of every epoch, (step, member), on the CPU.
        seconds: That earlier processes spent on it.
    """

    pack: Pack
    collector: Collector
    recorder: Recorder | None
    losses: list[Tensor]
    seconds: float = 0.0

    @property
    def has_diverged(self) -> bool:
        """Whether all members have, so that nothing is left to train."""
        return bool(self.losses) and not self.losses[-1][-1].isfinite().any()


class Saver:
    """Keeps a checkpoint whenever one is due.

    Args:
        course: What is trained.
        checkpoints: Where they are kept; None keeps none.
        seconds: From one to the next at least; 0 for one after every epoch. It is longer where keeping one
            takes more than `SHARE` of it.
        clock: Gives seconds.
    """

    def __init__(
        self,
        course: Underway,
        checkpoints: Checkpoints | None,
        seconds: float,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._course, self._seconds, self._clock = course, seconds, clock
        self._checkpoints = checkpoints if isinstance(course.collector, Resumable) else None
        self._began = self._last = clock()
        self._wait = seconds

    def __call__(self) -> None:
        """Called between two epochs."""
        now = self._clock()
        if self._checkpoints is None or now - self._last < self._wait:
            return
        self._checkpoints.keep(taken(self._course, self._course.seconds + now - self._began))
        self._last = self._clock()
        self._wait = max(self._seconds, (self._last - now) / SHARE) if self._seconds else 0.0


def resumed(make: Callable[[], Underway], checkpoints: Checkpoints | None) -> Underway:
    """A pack as its newest checkpoint left it; a new one where there is none that it can go on from."""
    course = make()
    if checkpoints is None or not isinstance(course.collector, Resumable):
        return course
    for checkpoint in checkpoints.found():
        try:
            put_back(checkpoint, course)
        except Exception as error:  # training from the start is right, whatever is wrong with it
            checkpoints.refuse(checkpoint, reason(error))
            course = make()
        else:
            return course
    return course


def taken(course: Underway, seconds: float) -> Checkpoint:
    """What a pack is between two epochs.

    Args:
        course: Its collector is `Resumable`.
        seconds: That were spent on it.
    """
    assert isinstance(course.collector, Resumable)
    moments, numbers = _optimizer_state(course.pack)
    tensors = {
        **within("network", _network(course.pack)),
        **within("optimizer", moments),
        **within("collector", course.collector.state()),
        "losses": torch.stack(course.losses),
    }
    facts: dict[str, Any] = {"seconds": seconds, "optimizer": numbers}
    if course.recorder:
        kept, facts["recorder"] = course.recorder.state()
        tensors |= within("recorder", kept)
    facts["layouts"] = [[name, _strides(tensor)] for name, tensor in tensors.items()]
    copies = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    content = safetensors.torch.save(copies)
    return Checkpoint(len(course.losses), facts, content)


def put_back(checkpoint: Checkpoint, course: Underway) -> None:
    """Makes a new pack what it was when a checkpoint was taken.

    Raises:
        Exception: It is of another pack, or of a collector that cannot read it; the pack is then useless.
    """
    assert isinstance(course.collector, Resumable)
    tensors, facts, network = _tensors(checkpoint), checkpoint.facts, _network(course.pack)
    held = of_place("network", tensors)
    if _shapes(held) != _shapes(network):
        raise ValueError("its network has other tensors")
    losses = list(tensors["losses"])
    if len(losses) != checkpoint.epoch:
        raise ValueError(f"it has losses of {len(losses)} epochs, and {checkpoint.epoch} were done")
    with torch.no_grad():
        for name, tensor in network.items():
            tensor.copy_(held[name])  # in place: a captured graph has its address
    _put_optimizer(course.pack, of_place("optimizer", tensors), facts["optimizer"])
    collected = {
        name: tensor.to(course.pack.inputs.device) for name, tensor in of_place("collector", tensors).items()
    }
    course.collector.load(collected, course.pack.network)
    if course.recorder:
        course.recorder.load(of_place("recorder", tensors), facts["recorder"])
    course.losses, course.seconds = losses, float(facts["seconds"])


def _network(pack: Pack) -> Tensors:
    """Its parameters and buffers, also those that a `state_dict` leaves out."""
    return {
        name: one.detach() for name, one in (*pack.network.named_parameters(), *pack.network.named_buffers())
    }


def _shapes(tensors: Tensors) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}


def _parameters(pack: Pack) -> list[Tensor]:
    return [one for group in pack.optimizer.param_groups for one in group["params"]]


def _optimizer_state(pack: Pack) -> tuple[Tensors, dict[str, Any]]:
    """Tensors, and what is none, by the number of the parameter and the name."""
    each = {
        f"{number}/{name}": value
        for number, parameter in enumerate(_parameters(pack))
        for name, value in pack.optimizer.state.get(parameter, {}).items()
    }
    tensors = {name: value for name, value in each.items() if isinstance(value, Tensor)}
    return tensors, {name: value for name, value in each.items() if name not in tensors}


def _put_optimizer(pack: Pack, tensors: Tensors, numbers: dict[str, Any]) -> None:
    parameters = _parameters(pack)
    for place, value in (*tensors.items(), *numbers.items()):
        number, _, name = place.partition("/")
        parameter = parameters[int(number)]
        state = pack.optimizer.state[parameter]
        if isinstance(value, Tensor):
            there = state.get(name)
            value = value.to(parameter.device) if there is None else there.copy_(value)
        state[name] = value


# Vectorised loops may round their last few numbers otherwise: numbers come back to the same place in memory.


def _strides(tensor: Tensor) -> list[int]:
    """Where its numbers lie, if they fill their memory; else where those of a copy lie."""
    return list((tensor if _is_dense(tensor.shape, tensor.stride()) else tensor.contiguous()).stride())


def _is_dense(shape: Sequence[int], strides: Sequence[int]) -> bool:
    reach = 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    return 0 in shape or reach == math.prod(shape)


def _tensors(checkpoint: Checkpoint) -> Tensors:
    """Tensors in the order in which they were taken, in memory of their own."""
    held, found = safetensors.torch.load(checkpoint.tensors), {}
    for name, strides in checkpoint.facts["layouts"]:
        tensor = held[name]
        if not _is_dense(tensor.shape, strides):
            raise ValueError(f"tensor {name!r} does not fill its memory")
        found[name] = tensor.new_empty_strided(tensor.shape, strides).copy_(tensor)
    return found
