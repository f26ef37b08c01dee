"""Random streams: a generator is a function of run, purpose and epoch.

Nothing draws from global state and nothing is carried from epoch to epoch, so a member does not
depend on which others are trained beside it, before it or after it.
"""

import hashlib

from torch import Generator


def stream(key: str, purpose: str, epoch: int = 0) -> Generator:
    """A CPU generator, the same on every machine for the same run, purpose and epoch.

    >>> import torch
    >>> first, second = (torch.rand(1, generator=stream("run", "order", 3)) for _ in range(2))
    >>> bool(first == second)
    True
    """
    digest = hashlib.sha256(f"{key}/{purpose}/{epoch}".encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
