"""The fixed random order by which datasets are split."""

import numpy as np
from numpy.typing import NDArray


def permutation(count: int) -> NDArray[np.int64]:
    """The same random order of `count` samples on every machine."""
    return np.random.default_rng(0).permutation(count)
