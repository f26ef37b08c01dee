"""Sets how many threads torch, NumPy and SciPy use, for the length of a block or a function."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Torch uses this many threads inside, and as many as before afterwards; also a decorator."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def blas_threads(number: int) -> Iterator[None]:
    """NumPy's and SciPy's matrix products use at most this many threads inside; also a decorator."""
    with threadpool_limits(limits=number):
        yield
