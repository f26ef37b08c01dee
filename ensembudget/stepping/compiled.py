"""Forward passes compiled once a shape, by torch.compile."""

import logging
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from .ways._base import Forward

SHAPES = 256  # that a process may compile; beyond them torch steps uncompiled and does not say so


def through(forward: Forward, device: str, mixed: bool, inputs: Tensor) -> Tensor:
    """Logits in float32 or wider, computed in bfloat16 where `mixed`."""
    with torch.autocast(device, torch.bfloat16, enabled=mixed):
        logits = forward(inputs)
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


@cache
def compiled_through() -> Callable[..., Tensor]:
    """`through`, compiled. The network is an argument, so the next pack of its shape finds the code.

    A network compiled by itself, as is usual, is compiled anew for every pack.
    """
    # It warns on every machine without CUDA that there is none.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    torch._dynamo.config.recompile_limit = SHAPES
    torch._inductor.config.compile_threads = 1  # no processes of its own beside the run's
    return torch.compile(through, dynamic=False)
