"""Ordinary networks side by side: one template is run once a member, on views of stacked tensors.

For architectures that are written without members in mind. Every parameter and buffer of the template stacks
its members along dimension 0, as the layers in `_layers.py` do, so all that reads a packed network reads
this one too. Batch norm's statistics are updated through the views.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call


class MemberCopies(nn.Module):
    """Several members of an ordinary network: (sample, members x channel, ...) to (sample, members x class).

    Args:
        make: Makes the network of one member with its initial weights, drawn from torch's own generator. It
            is kept: a member is initialised by calling it on the CPU.
        members: How many, at least 1.

    Example:
        >>> MemberCopies(lambda: nn.Linear(3, 2), members=4).one.weight.shape
        torch.Size([8, 3])
    """

    initialises_all = True

    def __init__(self, make: Callable[[], nn.Module], members: int) -> None:
        super().__init__()
        self.members, self._make, self.one = members, make, make()
        if members > 1:
            _stack(self.one, members)

    def forward(self, packed: Tensor) -> Tensor:
        if self.members == 1:
            logits: Tensor = self.one(packed)
            return logits
        each = zip(member_views(self.one, self.members), packed.chunk(self.members, 1), strict=True)
        return torch.cat([functional_call(self.one, state, (part,)) for state, part in each], 1)

    @torch.no_grad()
    def initialise(self, generators: Sequence[Generator]) -> None:
        """Every member as `make` draws it under a seed from its generator."""
        for state, generator in zip(member_views(self.one, self.members), generators, strict=True):
            seed = int(torch.randint(2**62, (), generator=generator))
            with torch.random.fork_rng(devices=[]), torch.device("cpu"):
                torch.default_generator.manual_seed(seed)
                drawn = self._make()
            for name, tensor in (*drawn.named_parameters(), *drawn.named_buffers()):
                state[name].copy_(tensor)
            _fill_constants(self.one, drawn)


def member_views(network: nn.Module, members: int) -> list[dict[str, Tensor]]:
    """Every member's tensors, as views of the packed ones: gradients and statistics reach those.

    Only member 0 updates shared scalars (batch norm's count of batches); the others have copies.
    """
    found: list[dict[str, Tensor]] = [{} for _ in range(members)]
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        parts = tensor.chunk(members) if tensor.ndim else (tensor, *[tensor.clone()] * (members - 1))
        for state, part in zip(found, parts, strict=True):
            state[name] = part
    return found


def _stack(network: nn.Module, members: int) -> None:
    """Makes every tensor `members` times as long along dimension 0, in place; shared tensors stay shared."""
    made: dict[Tensor, Tensor] = {}
    for module in network.modules():
        every: tuple[dict[str, Any], ...] = module._parameters, module._buffers
        for held in every:
            for name, tensor in held.items():
                if tensor is None or not tensor.ndim:
                    continue
                if tensor not in made:
                    longer = torch.cat([tensor.detach()] * members)
                    trained = isinstance(tensor, nn.Parameter)
                    made[tensor] = nn.Parameter(longer, tensor.requires_grad) if trained else longer
                held[name] = made[tensor]


def _fill_constants(network: nn.Module, drawn: nn.Module) -> None:
    """Memory for tensors that modules keep as plain attributes, where they were made without."""
    for module, real in zip(network.modules(), drawn.modules(), strict=True):
        for name, value in vars(module).items():
            if isinstance(value, Tensor) and value.is_meta:
                setattr(module, name, vars(real)[name])
