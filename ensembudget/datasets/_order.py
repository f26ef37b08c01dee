"""The fixed random order in which datasets are cut."""

import numpy as np
from numpy.typing import NDArray


def permutation(count: int) -> NDArray[np.int64]:
    """The one order in which sources without an order of their own are cut; the same everywhere."""
    return np.random.default_rng(0).permutation(count)
