"""Array types, and what every module that draws correlated errors needs."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

Integers = NDArray[np.int64]

Mask = NDArray[np.bool_]


def covariance_root(covariance: Array) -> Array:
    """A matrix R with R R' the covariance, (row, row), which may be singular.

    >>> covariance_root(np.array([[4.0, 0.0], [0.0, 0.0]])) ** 2
    array([[0., 4.],
           [0., 0.]])
    """
    values, vectors = np.linalg.eigh(covariance)
    found: Array = vectors * np.sqrt(np.maximum(values, 0))
    return found
