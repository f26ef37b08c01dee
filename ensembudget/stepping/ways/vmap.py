"""All members at once, by `torch.func.vmap` over their stacked tensors."""

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from ._base import Forward, Way


def forward(network: nn.Module, single: Callable[[], nn.Module], members: int) -> Forward:
    one = single().train()

    def of_one(stacked: dict[str, Tensor], shared: dict[str, Tensor], inputs: Tensor) -> Tensor:
        logits: Tensor = functional_call(one, {**stacked, **shared}, (inputs,))
        return logits

    def of_all(inputs: Tensor) -> Tensor:
        # vmap takes torch's fused attention of a CPU member by member, and warns that it does.
        with sdpa_kernel(SDPBackend.MATH) if inputs.device.type == "cpu" else nullcontext():
            return stacked_through(inputs)

    def stacked_through(inputs: Tensor) -> Tensor:
        tensors = dict((*network.named_parameters(), *network.named_buffers()))
        stacked = {k: t.unflatten(0, (members, -1)) for k, t in tensors.items() if t.ndim}
        shared = {k: t for k, t in tensors.items() if not t.ndim}
        logits: Tensor = torch.vmap(of_one, in_dims=(0, None, 1), out_dims=1)(
            stacked, shared, inputs.unflatten(1, (members, -1))
        )
        return logits.flatten(1, 2)

    return of_all


way = Way(forward, autotuned_on=("cuda",))
