"""How many threads torch, NumPy and SciPy work with, for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Torch works with this many in here, and with those it had when it is left; also a decorator."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def blas_threads(number: int) -> Iterator[None]:
    """NumPy's and SciPy's matrix products work with this many in here; also a decorator."""
    with threadpool_limits(limits=number):
        yield
