"""How a network is made: described on the meta device, then given memory and initial weights."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Generator, Tensor, nn

from ..catalog import FAMILIES
from ..errors import PlanError
from ..options import check_name, check_value
from ..records import AnyTask, Task
from ..tasks.images import SMALLEST_IMAGE
from ._attention import Embedding
from ._base import OptionValue

UNSET = torch.iinfo(torch.int64).min  # marks whole numbers that nothing has set, as NaN does others


@runtime_checkable
class Initialised(Protocol):
    """A module that sets its own parameters and buffers, one generator a member.

    One with `initialises_all = True` also sets those of all modules within it.
    """

    def initialise(self, generators: Sequence[Generator]) -> None: ...


def resolve_options(family: str, given: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    """A family's options: `given` over the defaults, without those whose value is None.

    Raises:
        PlanError: An option that the family does not have, or a value of the wrong type or out of range.
    """
    part = FAMILIES[family]
    known = {**part.optional, **part.options}
    for name, value in given.items():
        check_name(f"family {family!r}", name, known)
        check_value(f"family {family!r}", name, value, known[name], part.choices)
    options = {k: v for k, v in {**part.options, **given}.items() if v is not None}
    if fault := part.fault(options):
        raise PlanError(fault)
    return options


def describe(
    family: str,
    width: int,
    task: AnyTask,
    *,
    members: int = 1,
    options: Mapping[str, OptionValue] | None = None,
) -> nn.Module:
    """A network on the meta device: shapes without memory, enough to count with.

    Args:
        family: A family's name.
        width: Its width factor, at least 1.
        task: Of images classes, channels and image size (at least 8); or tokens.
        members: How many networks lie side by side in it, at least 1.
        options: Replace the family's defaults, say `{"depth": 28}`.

    Raises:
        PlanError: No such family or option, a task that the family does not do, a number that is too small,
            a width that is not what the family's widths are multiples of.

    Example:
        >>> network = describe("wide_resnet", 160, Task(100, 3, 32), options={"depth": 28})
        >>> sum(p.numel() for p in network.parameters())
        36755940
    """
    resolved = resolve_options(family, options or {})
    if task.kind not in FAMILIES[family].tasks:
        raise PlanError(_undone(family, task.kind))
    least_of = {"width": (width, 1), "members": (members, 1), "classes": (task.classes, 2), **_least(task)}
    for name, (value, least) in least_of.items():
        if value < least:
            raise PlanError(f"{name} {value} of family {family!r} is below {least}, the smallest that works.")
    if width % (step := FAMILIES[family].multiple_of(resolved)):
        raise PlanError(_between(family, width, step, resolved))
    with torch.device("meta"):
        return FAMILIES[family].build(width, task, members, **resolved)


def _least(task: AnyTask) -> dict[str, tuple[int, int]]:
    """Numbers of a task, each with the smallest that a network can be built for."""
    if isinstance(task, Task):
        return {"channels": (task.channels, 1), "image size": (task.image_size, SMALLEST_IMAGE)}
    least = {"vocabulary": (task.vocabulary, 2), "length": (task.length, 1)}
    if task.kind != "translation":
        return least
    return {**least, "source length": (task.source, 1), "target length": (task.predicted, 1)}


def _between(family: str, width: int, step: int, options: Mapping[str, OptionValue]) -> str:
    below = width // step * step
    near = f"The nearest are {below:,} and {below + step:,}" if below else f"The nearest is {step:,}"
    given = ", ".join(f"{name} = {value}" for name, value in options.items())
    return (
        f"width {width:,} of family {family!r} is no multiple of {step}, as its widths are"
        f"{f' with {given}' if given else ''}."
        f" {near}."
    )


def _undone(family: str, kind: str) -> str:
    others = [name for name, part in FAMILIES.usable().items() if kind in part.tasks]
    instead = f"Families that do: {', '.join(others)}." if others else "No family that is installed does."
    does = ", ".join(sorted(FAMILIES[family].tasks))
    return f"family {family!r} does {does}, and the dataset asks for {kind}. {instead}"


def embedding_parameters(network: nn.Module) -> int:
    """How many parameters of a network are tables of tokens, those that are also its output among them.

    Example:
        >>> from ensembudget.records import TokenTask
        >>> task = TokenTask("language_model", classes=100, vocabulary=100, length=8)
        >>> embedding_parameters(describe("transformer", 16, task))
        1600
    """
    tables = {m.weight for m in network.modules() if isinstance(m, nn.Embedding | Embedding)}
    return sum(table.numel() for table in tables)


def materialise(
    network: nn.Module, generators: Sequence[Generator], device: torch.device | str = "cpu"
) -> nn.Module:
    """Memory and initial weights for a described network, in place, one generator a member.

    Modules are initialised from the inside out, in their order, by the first of these they have:
    `initialise(generators)`; batch norm's reset; `reset_parameters()`, as ordinary torch layers have it,
    which knows nothing of members and so serves one. All is drawn on the CPU, so that a member starts
    alike on every device, and a packed network starts as the stack of the single networks with the same
    generators.

    Args:
        network: As `describe` makes it.
        generators: One a member, on the CPU.
        device: Where the network goes.

    Raises:
        PlanError: A module that nothing initialises, or an ordinary torch layer among several members.

    Example:
        >>> network = describe("convnet", 4, Task(10, 1, 8))
        >>> materialise(network, [Generator().manual_seed(0)])(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 10])
    """
    unset = _allocate(network)
    with torch.no_grad():
        for name, module in _inside_out(network):
            _initialise(name, module, generators)
    for name, tensor in unset:
        if (tensor.isnan() if tensor.is_floating_point() else tensor == UNSET).any():
            owner, _, own = name.rpartition(".")
            raise PlanError(
                f"{_called(owner, network.get_submodule(owner))} of the network has {own!r}, which nothing"
                " initialises. Give the module a method `initialise(generators)`, or `reset_parameters()`,"
                " that sets every parameter and buffer."
            )
    return network.to(device)


def _allocate(network: nn.Module) -> list[tuple[str, Tensor]]:
    """Gives tensors on the meta device memory, marked as unset, and returns them by name.

    A tensor that several modules share stays shared; `Module.to_empty` would part them.
    """
    made: dict[Tensor, Tensor] = {}
    unset = []
    for place, module in network.named_modules():
        its: dict[str, bool] = {"recurse": False, "remove_duplicate": False}
        own = [*module.named_parameters(**its), *module.named_buffers(**its)]
        for name, tensor in own:
            if not tensor.is_meta:
                continue
            if tensor not in made:
                memory = torch.empty_like(tensor, device="cpu")
                if memory.is_floating_point():
                    memory.fill_(torch.nan)
                elif memory.dtype == torch.int64:
                    memory.fill_(UNSET)
                trained = isinstance(tensor, nn.Parameter)
                made[tensor] = nn.Parameter(memory, tensor.requires_grad) if trained else memory
                unset.append((f"{place}.{name}", made[tensor]))
            setattr(module, name, made[tensor])
    return unset


def _inside_out(network: nn.Module, place: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Modules by name, each after those it contains: as constructors initialise them."""
    for name, child in () if getattr(network, "initialises_all", False) else network.named_children():
        yield from _inside_out(child, f"{place}.{name}".lstrip("."))
    yield place, network


def _initialise(name: str, module: nn.Module, generators: Sequence[Generator]) -> None:
    if isinstance(module, Initialised):
        module.initialise(generators)
    elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
        module.reset_parameters()
    elif reset := getattr(module, "reset_parameters", getattr(module, "_reset_parameters", None)):
        if len(generators) > 1:
            raise PlanError(
                f"{_called(name, module)} of the network is an ordinary torch layer, which holds one member,"
                f" and {len(generators)} are asked for. Train with packs of 1, or build the network of the"
                " layers in ensembudget/families/_layers.py."
            )
        with torch.random.fork_rng(devices=[]):
            seed = torch.randint(2**62, (), generator=generators[0])
            torch.default_generator.manual_seed(int(seed))
            reset()


def _called(name: str, module: nn.Module) -> str:
    kind = type(module).__name__
    return f"module {name!r} ({kind})" if name else f"the outermost module ({kind})"


def member_state(network: nn.Module, index: int, members: int) -> dict[str, Tensor]:
    """One member's parameters and buffers from a packed network, named as in a network of one member."""
    return {
        name: tensor.clone() if tensor.ndim == 0 else tensor.chunk(members)[index].clone()
        for name, tensor in network.state_dict().items()
    }
