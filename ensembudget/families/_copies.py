"""Packs ordinary networks: one template runs once for each member, on views of stacked tensors.

This packs architectures that were written for one network, such as timm's. Parameters and buffers stack the
members along dimension 0, as in `_layers.py`, so other code treats the result like any packed network. Batch
norm updates its statistics through the views.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call


class MemberCopies(nn.Module):
    """Members of an ordinary network, packed: (sample, members x channel, ...) to (sample, members x class).

    Args:
        make: Makes the network of one member and draws its initial weights from torch's default generator.
            `initialise` calls it again, on the CPU, for every member.
        members: The number of members, at least 1.

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
        """Gives each member the weights that `make` draws under a seed from the member's generator."""
        for state, generator in zip(member_views(self.one, self.members), generators, strict=True):
            seed = int(torch.randint(2**62, (), generator=generator))
            with torch.random.fork_rng(devices=[]), torch.device("cpu"):
                torch.default_generator.manual_seed(seed)
                drawn = self._make()
            for name, tensor in (*drawn.named_parameters(), *drawn.named_buffers()):
                state[name].copy_(tensor)
            _fill_constants(self.one, drawn)


def member_views(network: nn.Module, members: int) -> list[dict[str, Tensor]]:
    """Each member's tensors by name, as views, so that gradients and statistics reach the packed tensors.

    Scalars cannot be split: member 0 has the packed network's own (batch norm's count of batches), the others
    have copies, whose updates are lost.
    """
    found: list[dict[str, Tensor]] = [{} for _ in range(members)]
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        parts = tensor.chunk(members) if tensor.ndim else (tensor, *[tensor.clone()] * (members - 1))
        for state, part in zip(found, parts, strict=True):
            state[name] = part
    return found


def _stack(network: nn.Module, members: int) -> None:
    """Repeats every tensor `members` times along dimension 0, in place; shared tensors stay shared."""
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
    """Fills in tensors that modules hold as plain attributes and that are still on the meta device."""
    for module, real in zip(network.modules(), drawn.modules(), strict=True):
        for name, value in vars(module).items():
            if isinstance(value, Tensor) and value.is_meta:
                setattr(module, name, vars(real)[name])
