"""How a network is made: described on the meta device, then filled with memory."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Generator, Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..catalog import FAMILIES
from ..errors import PlanError, did_you_mean
from ..records import Task
from ._base import Option

SMALLEST_IMAGE = 8


@runtime_checkable
class Initialised(Protocol):
    """A layer that draws its own weights, one generator a member."""

    def initialise(self, generators: Sequence[Generator]) -> None: ...


def resolve_options(family: str, given: Mapping[str, Option]) -> dict[str, Option]:
    """The family's options with `given` laid over the defaults; those that nobody set are left out.

    Raises:
        PlanError: An option the family does not have, of another type, or of a bad value.
    """
    part = FAMILIES[family]
    for name, value in given.items():
        if name not in part.options:
            known = ", ".join(part.options) or "none"
            raise PlanError(
                f"family {family!r} has no option {name!r}.{did_you_mean(name, part.options)} Known: {known}."
            )
        if name in part.choices:
            if value not in part.choices[name]:
                words = ", ".join(part.choices[name])
                raise PlanError(
                    f"option {name} = {value!r} of family {family!r} is not one of {words}."
                    f"{did_you_mean(str(value), part.choices[name])}"
                )
        elif type(value) is not type(part.options[name]):
            wanted = type(part.options[name]).__name__
            raise PlanError(f"option {name} = {value!r} of family {family!r} must be of type {wanted}.")
    options = {k: v for k, v in {**part.options, **given}.items() if v is not None}
    if fault := part.fault(options):
        raise PlanError(fault)
    return options


def describe(
    family: str, width: int, task: Task, *, members: int = 1, options: Mapping[str, Option] | None = None
) -> nn.Module:
    """A network on the meta device: shapes without memory, for counting.

    Args:
        family: A family's name.
        width: Its width factor, at least 1.
        task: Classes, channels and image size (at least 8).
        members: Networks side by side in one, at least 1.
        options: Over the family's defaults, say `{"depth": 28}`.

    Raises:
        PlanError: A name, width, size, count or option that cannot be.

    Example:
        >>> network = describe("wide_resnet", 160, Task(100, 3, 32), options={"depth": 28})
        >>> sum(p.numel() for p in network.parameters())
        36755940
    """
    resolved = resolve_options(family, options or {})
    for name, value, least in (
        ("width", width, 1),
        ("members", members, 1),
        ("classes", task.classes, 2),
        ("channels", task.channels, 1),
        ("image size", task.image_size, SMALLEST_IMAGE),
    ):
        if value < least:
            raise PlanError(f"{name} {value} of family {family!r} is below {least}, the smallest that works.")
    with torch.device("meta"):
        return FAMILIES[family].build(width, task, members, **resolved)


def materialise(
    network: nn.Module, generators: Sequence[Generator], device: torch.device | str = "cpu"
) -> nn.Module:
    """Memory and initial weights for a described network, in place, one generator a member.

    Each member draws from its own generator in the order of the modules, so a packed network
    starts as the stack of the single networks with the same generators.
    """
    network.to_empty(device=device)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, _BatchNorm):
                module.reset_parameters()
            elif isinstance(module, Initialised):
                module.initialise(generators)
    return network


def member_state(network: nn.Module, index: int, members: int) -> dict[str, Tensor]:
    """One member's parameters and buffers out of a packed network, as the single network names them."""
    return {
        name: tensor.clone() if tensor.ndim == 0 else tensor.chunk(members)[index].clone()
        for name, tensor in network.state_dict().items()
    }
