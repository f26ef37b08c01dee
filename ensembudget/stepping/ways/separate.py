"""One member after another, each through ordinary convolutions; on a GPU in streams of their own."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ...families._copies import member_views
from ._base import Forward, Way


def forward(network: nn.Module, single: Callable[[], nn.Module], members: int) -> Forward:
    one = single().train()
    cuda = next(network.parameters()).is_cuda
    streams = [torch.cuda.Stream() for _ in range(members)] if cuda else []

    def in_turn(inputs: Tensor) -> Tensor:
        pairs = zip(member_views(network, members), inputs.chunk(members, 1), strict=True)
        return torch.cat([functional_call(one, state, (part,)) for state, part in pairs], 1)

    def in_streams(inputs: Tensor) -> Tensor:
        here, logits = torch.cuda.current_stream(), []
        each = zip(streams, member_views(network, members), inputs.chunk(members, 1), strict=True)
        for stream, state, part in each:
            stream.wait_stream(here)
            with torch.cuda.stream(stream):
                logits.append(functional_call(one, state, (part,)))
        for stream in streams:
            here.wait_stream(stream)
        return torch.cat(logits, 1)

    return in_streams if cuda else in_turn


way = Way(forward, autotuned_on=("cuda",))
