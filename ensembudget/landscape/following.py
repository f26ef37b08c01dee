"""Follows the channels of a network from its images to its logits, operation by operation."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..catalog import TASKS
from ..errors import SymmetryError, reason
from ..records import AnyTask
from .axes import Ties, fixed
from .rules import Label, Operation, rule_of

SAMPLES = 2  # of the batch that is followed; batch norm may want more than one

KNOWN = (
    "Convolutions without groups, matrix products, batch norm, pooling over rows and columns, means and sums,"
    " reshaping, and what works element by element are understood; ensembudget/landscape/rules.py has a rule"
    " for each."
)


def follow(network: nn.Module, task: AnyTask) -> tuple[Ties, dict[str, Label]]:
    """What lies along each dimension of each parameter and buffer that the network uses, by name.

    Args:
        network: Of one member, on any device, the meta device too. It is run there, in evaluation mode, and
            left as it was.
        task: Gives the shape of its input.

    Raises:
        SymmetryError: An operation that has no rule; a network that does not run on the meta device.
    """
    every = [
        *network.named_parameters(remove_duplicate=False),
        *network.named_buffers(remove_duplicate=False),
    ]
    empty = {tensor: torch.empty_like(tensor, device="meta") for _, tensor in every}
    tensors = {name: empty[tensor] for name, tensor in every}
    dtype = next((tensor.dtype for _, tensor in every if tensor.is_floating_point()), None)
    # Buffers that are no part of the state cannot follow an order: constants.
    stored = {name: tensors[name] for name in network.state_dict() if name in tensors}
    one = TASKS[task.kind].example(task)
    shape = SAMPLES, *one.shape[1:]
    inputs = torch.empty(shape, device="meta", dtype=dtype if one.is_floating_point() else one.dtype)
    with ExitStack() as stack, torch.no_grad():
        inside = stack.enter_context(_inside(network))
        stack.enter_context(_evaluating(network))
        follower = stack.enter_context(ChannelFollower(stored.values(), inside))
        try:
            logits = functional_call(network, tensors, (inputs,))
        except RuntimeError as error:
            raise SymmetryError(
                f"the network does not run on inputs of shape {shape} without memory, on the meta device:"
                f" {reason(error)}."
            ) from error
    if not isinstance(logits, Tensor):
        raise SymmetryError(f"the network gives a {type(logits).__name__}, not a tensor of logits.")
    for size, axis in zip(logits.shape, follower.label(logits), strict=True):
        follower.ties.tie(axis, fixed(size))
    return follower.ties, {name: follower.labels[t] for name, t in stored.items() if t in follower.labels}


class ChannelFollower(TorchDispatchMode):
    """Labels every tensor that operations return.

    Axes of the tensors that make up a network's state are free at first. All other tensors are constants,
    which no order of channels reaches.
    """

    def __init__(self, stored: Iterable[Tensor], inside: list[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ties = Ties()
        self.labels: dict[Tensor, Label] = {}
        self._stored = set(stored)
        self._inside = inside

    def label(self, tensor: Tensor) -> Label:
        if tensor in self.labels:
            return self.labels[tensor]
        if tensor not in self._stored:
            return tuple(map(fixed, tensor.shape))
        self.labels[tensor] = tuple(map(self.ties.fresh, tensor.shape))
        return self.labels[tensor]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        there = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        if not any(self.ties.free(axis) for one in there for axis in self.label(one)):
            return func(*args, **kwargs)  # nothing in it can change its order
        rule = rule_of(func)
        if rule is None or any(isinstance(one, Tensor) for one in tree_leaves(kwargs)):
            raise self._error(func, "no rule says what that does to their order")
        result = func(*args, **kwargs)
        outputs = [one for one in tree_leaves(result) if isinstance(one, Tensor)]
        found = rule(Operation(args, outputs, self.label, self.ties))
        if isinstance(found, str):
            raise self._error(func, found)
        self.labels.update(zip(outputs, found, strict=True))
        return result

    def _error(self, func: Any, why: str) -> SymmetryError:
        name = func.overloadpacket.__name__
        return SymmetryError(f"{self._inside[-1]} applies {name!r} to channels, and {why}. {KNOWN}")


@contextmanager
def _inside(network: nn.Module) -> Iterator[list[str]]:
    """A list whose last entry is the module that is running, as a message calls it."""
    running = ["the network"]
    hooks = []

    def leave(*_: Any) -> None:
        running.pop()

    for name, module in network.named_modules():
        called = f"module {name!r} ({type(module).__name__})" if name else "the network"
        hooks.append(module.register_forward_pre_hook(lambda *_, called=called: running.append(called)))
        hooks.append(module.register_forward_hook(leave))
    try:
        yield running
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    was = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in was:
            module.training = training
