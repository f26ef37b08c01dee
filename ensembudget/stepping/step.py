"""Ways to step a pack: the same arithmetic up to rounding, at different speeds.

A pack's weights are always those of one packed network, members stacked along dimension 0; what
differs is how images go through it. So modes, histories and members know nothing of the way.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from ..packing.batches import unpack_logits
from ..records import Cell, Recipe, Stepping
from ..training.history import Recorder

Forward = Callable[[Tensor], Tensor]  # (sample, members x channel, row, column) to (sample, members x class)
Step = Callable[[Tensor, Tensor, Recorder | None], Tensor]
MEMORY_FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
SHAPES = 256  # that a process may compile; beyond them torch would step the ordinary way, unasked
WARM_STEPS = 3  # before a graph is captured, as torch's documentation asks


def faults(stepping: Stepping, recipe: Recipe, device: str, *, recorded: bool) -> list[str]:
    """Why members of this recipe cannot be stepped so, a sentence each; none where they can."""
    cuda = torch.device(device).type == "cuda"
    special = [w for w in ("compiled", "captured") if getattr(stepping, w)]
    special += [stepping.way] if stepping.way != "grouped" else []
    found = []
    if stepping.captured and not cuda:
        found.append(f"captured steps need a CUDA device, and this is {device!r}.")
    if stepping.compiled and stepping.way != "grouped":
        found.append(f"compiled steps are of way 'grouped', and this is {stepping.way!r}.")
    if stepping.captured and recorded:
        found.append("captured steps cannot be recorded: nothing can be read between their parts.")
    if recipe.dropout and special:
        found.append(
            f"dropout {recipe.dropout:g} draws every member's masks from its own stream, which needs way"
            f" 'grouped', neither compiled nor captured; this is {', '.join(special)}."
        )
    return found


def forward_of(
    network: nn.Module, stepping: Stepping, members: int, single: Callable[[], nn.Module], recipe: Recipe
) -> Forward:
    """How a packed network's images go through it in training.

    Args:
        network: The packed network, on its device.
        stepping: The way.
        members: How many are packed.
        single: Makes the network of one member on the meta device.
        recipe: Whose precision is computed in.

    Returns:
        Images (sample, members x channel, row, column) to float logits (sample, members x class).
    """
    device, mixed = next(network.parameters()).device.type, recipe.precision == "bfloat16"
    through = compiled() if stepping.compiled else _through
    return partial(through, WAYS[stepping.way](network, single, members), device, mixed)


def _through(forward: Forward, device: str, mixed: bool, images: Tensor) -> Tensor:
    with torch.autocast(device, torch.bfloat16, enabled=mixed):
        logits = forward(images)
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


@cache
def compiled() -> Callable[..., Tensor]:
    """`_through`, compiled once a shape: the network is an argument, so its successors find the code.

    A network that is compiled by itself, as is usual, is compiled anew for every pack.
    """
    # Says on every machine without CUDA that there is none.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    torch._dynamo.config.recompile_limit = SHAPES
    torch._inductor.config.compile_threads = 1  # no processes of its own beside the run's
    return torch.compile(_through, dynamic=False)


def grouped(network: nn.Module, single: Callable[[], nn.Module], members: int) -> Forward:
    """All members at once, as grouped convolutions."""
    return network


def separate(network: nn.Module, single: Callable[[], nn.Module], members: int) -> Forward:
    """One member after another, each through ordinary convolutions; on a GPU in streams of their own."""
    one = single().train()
    cuda = next(network.parameters()).is_cuda
    streams = [torch.cuda.Stream() for _ in range(members)] if cuda else []

    def forward(images: Tensor) -> Tensor:
        states = _states(network, members)
        parts = images.chunk(members, 1)
        if not cuda:
            return torch.cat([functional_call(one, s, (p,)) for s, p in zip(states, parts, strict=True)], 1)
        here, logits = torch.cuda.current_stream(), []
        for stream, state, part in zip(streams, states, parts, strict=True):
            stream.wait_stream(here)
            with torch.cuda.stream(stream):
                logits.append(functional_call(one, state, (part,)))
        for stream in streams:
            here.wait_stream(stream)
        return torch.cat(logits, 1)

    return forward


def _states(network: nn.Module, members: int) -> list[dict[str, Tensor]]:
    """Every member's tensors as views of the packed ones, so that gradients and statistics reach those.

    What is one number for all (batch norm's count of batches) is counted by the first alone.
    """
    states: list[dict[str, Tensor]] = [{} for _ in range(members)]
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        parts = tensor.chunk(members) if tensor.ndim else (tensor, *[tensor.clone()] * (members - 1))
        for state, part in zip(states, parts, strict=True):
            state[name] = part
    return states


def mapped(network: nn.Module, single: Callable[[], nn.Module], members: int) -> Forward:
    """All members at once, by `torch.func.vmap` over their stacked tensors."""
    one = single().train()

    def of_one(stacked: dict[str, Tensor], shared: dict[str, Tensor], images: Tensor) -> Tensor:
        logits: Tensor = functional_call(one, {**stacked, **shared}, (images,))
        return logits

    def forward(images: Tensor) -> Tensor:
        tensors = dict((*network.named_parameters(), *network.named_buffers()))
        stacked = {k: t.unflatten(0, (members, -1)) for k, t in tensors.items() if t.ndim}
        shared = {k: t for k, t in tensors.items() if not t.ndim}
        logits: Tensor = torch.vmap(of_one, in_dims=(0, None, 1), out_dims=1)(
            stacked, shared, images.unflatten(1, (members, -1))
        )
        return logits.flatten(1)

    return forward


WAYS = {"grouped": grouped, "separate": separate, "vmap": mapped}


def batch_losses(forward: Forward, images: Tensor, labels: Tensor) -> Tensor:
    """Each member's mean loss on its own batch, (member,), nats; arguments as of `train_batch`."""
    logits = unpack_logits(forward(images), len(labels))
    each = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    losses: Tensor = each.unflatten(0, labels.shape).mean(1)
    return losses


def train_batch(
    forward: Forward,
    optimizer: Optimizer,
    images: Tensor,
    labels: Tensor,
    recorder: Recorder | None = None,
) -> Tensor:
    """One step of every member on its own batch.

    Args:
        forward: A packed network in training mode, or another way through it.
        optimizer: Steps it.
        images: As the network computes, (sample, members x channel, row, column).
        labels: int64, (member, sample).
        recorder: Looks at the gradients before the step and at the weights after it.

    Returns:
        Each member's mean loss before the step, (member,), nats.
    """
    each = batch_losses(forward, images, labels)
    optimizer.zero_grad(set_to_none=True)
    # Members share no parameter: the sum's gradient is each one's own.
    each.sum().backward()
    if recorder:
        recorder.before_step(each, optimizer.param_groups[0]["lr"])
    optimizer.step()
    if recorder:
        recorder.after_step()
    losses: Tensor = each.detach()
    return losses


def stepper(
    network: nn.Module,
    optimizer: Optimizer,
    stepping: Stepping,
    members: int,
    single: Callable[[], nn.Module],
    cell: Cell,
) -> Step:
    """What steps a pack: called with images, labels and a recorder, as `train_batch`.

    Batches of another size than the recipe's, the last of an epoch, take the ordinary way: nothing
    is compiled or captured for one step an epoch.
    """
    recipe = cell.recipe
    size = min(recipe.batch_size, cell.train_size)
    plain = Stepping(pack=stepping.pack, layout=stepping.layout)
    ordinary = forward_of(network, plain, members, single, recipe)
    forward = forward_of(network, stepping, members, single, recipe)

    def step(images: Tensor, labels: Tensor, recorder: Recorder | None = None) -> Tensor:
        way = forward if len(images) == size else ordinary
        return train_batch(way, optimizer, images, labels, recorder)

    return Captured(step, optimizer, size) if stepping.captured else step


class Captured:
    """Whole steps as one CUDA graph, captured anew when a rate changes: a launch instead of hundreds."""

    def __init__(self, step: Step, optimizer: Optimizer, size: int) -> None:
        self._step, self._optimizer, self._size = step, optimizer, size
        self._graph: torch.cuda.CUDAGraph | None = None
        self._rates: list[float] = []
        self._warm = 0

    def __call__(self, images: Tensor, labels: Tensor, recorder: Recorder | None = None) -> Tensor:
        if len(images) != self._size:
            return self._step(images, labels, None)
        if self._warm < WARM_STEPS:
            self._warm += 1
            with _beside():
                return self._step(images, labels, None)
        rates = [group["lr"] for group in self._optimizer.param_groups]
        if self._graph is None or rates != self._rates:
            self._capture(images, labels)
            self._rates = rates
        assert self._graph is not None
        self._images.copy_(images)
        self._labels.copy_(labels)
        self._graph.replay()
        return self._losses.clone()

    def _capture(self, images: Tensor, labels: Tensor) -> None:
        self._images, self._labels = images.clone(), labels.clone()
        self._optimizer.zero_grad(set_to_none=True)  # gradients then lie in the graph's own memory
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._losses = self._step(self._images, self._labels, None)


@contextmanager
def _beside() -> Iterator[None]:
    """Work in another stream than the default, which a capture's warm-up needs."""
    here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
    aside.wait_stream(here)
    with torch.cuda.stream(aside):
        yield
    here.wait_stream(aside)
