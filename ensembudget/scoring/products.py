"""Matrix products in one thread.

Scoring consists of thousands of small steps, which cost more to divide among threads than to compute; where
other work kept the cores busy, threads that waited for each other made them ten to a hundred times as slow.
Sums that are never divided are also equal to the last bit whatever the number of threads.
"""

import torch

from ..arrays import Array


def product(left: Array, right: Array) -> Array:
    """The matrix product, by torch: `torch_threads` does not reach the threads of NumPy's own."""
    return (torch.from_numpy(left) @ torch.from_numpy(right)).numpy()
